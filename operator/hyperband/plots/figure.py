"""What is drawn, as plain data: panels with axes, and series of items with names."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeGuard, TypeVar

from hyperband.core.errors import encodable

T = TypeVar("T")

MAX_NAME = 60  # characters of a text in a picture
MAX_ITEMS = 2000  # of all series of a figure
MAX_NUMBER = 1e100  # differences of larger ones overflow where they are drawn


class Mark(StrEnum):
    """How the items of a series are drawn."""

    POINTS = "points"
    LINES = "lines"  # an item with one point is a point
    SPANS = "spans"  # from the first x to the second, at the row y


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that is drawn, and what it is."""

    name: str
    xs: tuple[float, ...]
    ys: tuple[float, ...]
    shade: float | None = None  # 0 worst to 1 best, of series that are coloured by value


@dataclass(frozen=True, slots=True)
class Series:
    """Items that are drawn alike, under one name in the key."""

    name: str
    mark: Mark
    items: tuple[Item, ...]
    faint: bool = False


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis; with `ticks`, (place, text), these alone are written at it."""

    label: str
    log: bool = False
    ticks: tuple[tuple[float, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Panel:
    """Two axes, and what is drawn between them."""

    x: Axis
    y: Axis
    series: tuple[Series, ...]
    texts: tuple[tuple[float, float, str], ...] = ()  # x, y, text

    @property
    def rows(self) -> bool:
        """Whether it is a list of bars, each at a row with a name."""
        return any(series.mark is Mark.SPANS for series in self.series)

    @property
    def xs(self) -> list[float]:
        """Where things are drawn across."""
        return [x for series in self.series for item in series.items for x in item.xs]

    @property
    def ys(self) -> list[float]:
        """Where things are drawn upwards."""
        return [y for series in self.series for item in series.items for y in item.ys]


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture, with what has to be known to read it, and its data as a table."""

    title: str
    panels: tuple[Panel, ...]
    notes: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Any, ...], ...] = ()
    shades: str = ""  # what a shade means, if there are any

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not any(series.items for panel in self.panels for series in panel.series)


def plain(text: object) -> str:
    """A text that others wrote, in one short line that any format can hold."""
    shown = encodable(str(text), MAX_NAME)
    return "".join(c if c.isprintable() and c not in "\ufffe\uffff" else " " for c in shown)


def number(value: object) -> str:
    """A number as it is shown: four digits, except for whole ones."""
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() and abs(value) < 1e6 else f"{value:.4g}"
    return plain(value)


def whole(values: Sequence[float]) -> bool:
    """Whether they are whole numbers, as counts are: a tick between two of them says nothing."""
    return all(float(value).is_integer() for value in values)


def finite(value: object) -> TypeGuard[float]:
    """Whether it is a number that can be drawn."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return -MAX_NUMBER <= value <= MAX_NUMBER  # of NaN, neither


def thin(items: Sequence[T], most: int) -> list[T]:
    """At most so many of them, evenly chosen, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    step = (len(items) - 1) / max(most - 1, 1)
    return [items[round(i * step)] for i in range(most)]


def thinned(shown: int, there: int, what: str) -> tuple[str, ...]:
    """The note that goes with it."""
    return (f"{shown:,} of {there:,} {what} are drawn, evenly chosen",) if shown < there else ()


TIMES = ((86400 * 2, 86400.0, "days"), (7200, 3600.0, "hours"), (300, 60.0, "minutes"))


def time_unit(seconds: float) -> tuple[float, str]:
    """The unit in which so long a time is drawn: its seconds, and its name."""
    return next(((size, name) for least, size, name in TIMES if seconds >= least), (1.0, "seconds"))
