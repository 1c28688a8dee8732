"""How verbs write tables and times. What is shown is text that others wrote: no markup is read."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

UNBOUNDED = 2000  # columns
NEW = "New"  # the status of a study that no operator has taken up


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


def number(value: Any) -> str:
    """A number for people: six digits at the most."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def span(seconds: float) -> str:
    """A time as kubectl writes ages: 45s, 12m, 3h20m, 2d4h."""
    whole = max(0, int(seconds))
    for unit, size, small, part in (("d", 86400, "h", 3600), ("h", 3600, "m", 60)):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size}{unit}" + (f"{rest}{small}" if rest else "")
    return f"{whole // 60}m" if whole >= 120 else f"{whole}s"


def since(moment: str | None, now: datetime) -> str:
    """How long ago a moment of an object was; empty without one."""
    if not moment:
        return ""
    read = datetime.fromisoformat(moment)
    return span((now - (read if read.tzinfo else read.replace(tzinfo=UTC))).total_seconds())


def condition(body: Mapping[str, Any], type_: str) -> Mapping[str, Any]:
    """A condition of an object; empty if it has none of that type."""
    rows = (body.get("status") or {}).get("conditions") or []
    return next((row for row in rows if row["type"] == type_), {})


def status_word(body: Mapping[str, Any]) -> str:
    """A study's status in a word, as the column STATUS of kubectl has it."""
    return str(condition(body, "Progressing").get("reason", NEW))
