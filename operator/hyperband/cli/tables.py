"""How verbs write tables. What is shown is text that others wrote: no markup is read."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

UNBOUNDED = 2000  # columns


def console(least: int = 0) -> Console:
    """Standard output: colours only on a terminal, and elsewhere lines of any length.

    Args:
        least: so wide the screen is at least taken to be; a terminal then breaks lines itself, as
            it does kubectl's, and no column is cut.
    """
    made = Console(highlight=False)
    made.width = max(made.width, least) if made.is_terminal else UNBOUNDED
    return made


def table(
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    right: Sequence[str] = (),
) -> Table:
    """A plain table, whose last column alone is folded where the screen is narrow."""
    made = Table(box=None, pad_edge=False)
    for i, column in enumerate(columns):
        made.add_column(
            Text(column),
            justify="right" if column in right else "left",
            no_wrap=i < len(columns) - 1,
            overflow="fold",
        )
    for row in rows:
        made.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    return made


def pairs(rows: Mapping[str, Any]) -> Table:
    """Names and values, one a line; what is empty is left out."""
    made = Table(box=None, pad_edge=False, show_header=False)
    made.add_column(no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in rows.items():
        if value not in (None, ""):
            made.add_row(Text(name, style="bold"), Text(str(value)))
    return made
