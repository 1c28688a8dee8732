"""Figures drawn with characters: braille dots for lines, letters for points, blocks for bars."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from typing import Final

import numpy as np
import numpy.typing as npt

from hyperband.plots.figure import Axis, Figure, Item, Mark, Panel, Series, number, thin, whole

HEIGHT = 18  # lines of a panel
LEAST = 40  # columns
GLYPHS: Final = "ox+*#@"  # of points, a series each
BLOCKS: Final = "█▒░▓▞◇▚▤"  # of bars
BRAILLE = 0x2800
# The bit of each dot, by its row and column in a character.
BITS: Final = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
FEW = 20  # lines across axes with texts
SPARSE = 4  # of faint lines one dot in so many is drawn


def lines(figure: Figure, width: int) -> list[str]:
    """The figure as lines of text, no longer than `width` columns but for its title and notes."""
    width = max(width, LEAST)
    made = [figure.title] if figure.panels else [figure.title, "", "  nothing to draw yet"]
    for panel in figure.panels:
        made.append("")
        if not any(series.items for series in panel.series):
            made.append("  nothing to draw yet")
            continue
        made += _bars(panel, width) if panel.rows else _plane(panel, width)
    return [*made, "", *figure.notes]


# -- points and lines --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Scale:
    """From values to [0, 1]."""

    low: float
    high: float
    log: bool
    whole: bool

    def ticks(self, axis: Axis) -> list[tuple[float, str]]:
        """The axis' own, else its ends and its middle; of whole numbers, whole ones."""
        if axis.ticks:
            return [(float(self.places([at])[0]), text) for at, text in axis.ticks]
        middle = math.sqrt(self.low * self.high) if self.log else (self.low + self.high) / 2
        if self.whole:
            middle = float(round(middle))
        values = sorted({self.low, middle, self.high})
        return [(float(p), number(v)) for p, v in zip(self.places(values), values, strict=True)]

    def places(self, values: Sequence[float]) -> npt.NDArray[np.float64]:
        given = np.array(values, dtype=float)
        low, high = self.low, self.high
        if self.log:
            given, low, high = np.log(np.maximum(given, low)), math.log(low), math.log(high)
        return np.clip((given - low) / (high - low), 0.0, 1.0)


def _scale(axis: Axis, values: Sequence[float], *, categories: bool) -> Scale:
    found = [*values, *(at for at, _ in axis.ticks)] if categories else list(values)
    low, high = min(found), max(found)
    log = axis.log and low > 0
    counts = whole(found)
    if low == high:
        by = 1.0 if counts else 0.5
        low, high = (low / 2, high * 2) if log else (low - by, high + by)
    return Scale(float(low), float(high), log, counts)


def _plane(panel: Panel, width: int) -> list[str]:
    x = _scale(panel.x, panel.xs, categories=True)
    written = all(text for _, text in panel.y.ticks) and not panel.texts
    y = _scale(panel.y, panel.ys, categories=written)
    sides = _sides(panel.y, y) if written else {}
    margin = max(map(len, sides.values()), default=0)
    canvas = _Canvas(width - margin - 2, HEIGHT)
    key = _draw_all(canvas, panel, x, y)
    for at, height, text in panel.texts:
        canvas.write(float(x.places([at])[0]), float(y.places([height])[0]), text)
    made = [f"  {panel.y.label}"] if written else []
    made += [f"{sides.get(i, ''):>{margin}} │{row}" for i, row in enumerate(canvas.rows())]
    made.append(" " * margin + " └" + "─" * canvas.width)
    labels, more = _ticks(panel.x, x, canvas.width)
    made.append(" " * (margin + 2) + labels)
    made += [f"  {each}" for each in more]
    made += [f"  {'x: ' if written else ''}{panel.x.label}"] if panel.x.label else []
    return [*made, "  " + "   ".join(key)]


def _sides(axis: Axis, scale: Scale) -> dict[int, str]:
    """What is written beside which line: the axis' own ticks, or its ends and its middle."""
    ticks = scale.ticks(axis)
    return {round((1 - place) * (HEIGHT - 1)): text for place, text in ticks}


def _draw_all(canvas: "_Canvas", panel: Panel, x: Scale, y: Scale) -> list[str]:
    """Draws what is in a panel, and gives its key."""
    key, solid, glyphs = [], 0, cycle(GLYPHS)
    for series in panel.series:
        if not series.items:
            continue
        full = series.mark is Mark.LINES and not series.faint
        solid += full
        shown = _fewer(series) if panel.texts else series
        # The second kind of full lines has letters at its points, as no colour tells it apart.
        key.append(_draw(canvas, shown, x, y, glyphs, marked=full and solid > 1))
    return key


def _fewer(series: Series) -> Series:
    """Of faint lines across axes with texts, as many as can be told apart."""
    few = thin(series.items, FEW)
    if not series.faint or len(few) == len(series.items):
        return series
    said = f"{series.name} ({len(few)} of {len(series.items)})"
    return replace(series, name=said, items=tuple(few))


def _draw(
    canvas: "_Canvas",
    series: Series,
    x: Scale,
    y: Scale,
    glyphs: "cycle[str]",
    *,
    marked: bool,
) -> str:
    """Draws it, and gives its part of the key."""
    if series.mark is Mark.POINTS and not series.faint:
        glyph = next(glyphs)
        for item in series.items:
            canvas.mark(x.places(item.xs)[0], y.places(item.ys)[0], glyph)
        return f"{glyph} {series.name}"
    every, own = SPARSE if series.faint else 1, next(glyphs) if marked else ""
    for item in series.items:
        xs, ys = x.places(item.xs), y.places(item.ys)
        canvas.line(xs, ys, every)
        for at, height in zip(xs, ys, strict=True) if marked else ():
            canvas.mark(at, height, own)
    if series.mark is Mark.POINTS:
        return f"⠂ {series.name}"
    line = "⠂ ⠂" if series.faint else f"⠒{own or '⠒'}⠒"
    return f"{line} {series.name}"


def _ticks(axis: Axis, scale: Scale, width: int) -> tuple[str, list[str]]:
    """The line under the axis, and what does not fit into it."""
    ticks = scale.ticks(axis)
    line = _row(ticks, width)
    if line is not None:
        return line, []
    short = [(place, str(i + 1)) for i, (place, _) in enumerate(ticks)]
    more = [f"{i + 1} {text}" for i, (_, text) in enumerate(ticks)]
    return _row(short, width) or "", more


def _row(ticks: Sequence[tuple[float, str]], width: int) -> str | None:
    """Texts at their places; None if they do not fit."""
    line = [" "] * width
    free = 0
    for place, text in sorted(ticks):
        start = round(place * (width - 1)) - len(text) // 2
        start = min(max(start, 0), width - len(text))
        if start < free:
            return None
        line[start : start + len(text)] = text
        free = start + len(text) + 1
    return "".join(line)


class _Canvas:
    """Characters of 2 by 4 dots each."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._dots = np.zeros((height * 4, width * 2), dtype=bool)
        self._written: dict[tuple[int, int], str] = {}  # by row and column

    def line(
        self, xs: npt.NDArray[np.float64], ys: npt.NDArray[np.float64], every: int = 1
    ) -> None:
        rows, columns = self._dots.shape
        right, down = xs * (columns - 1), (1.0 - ys) * (rows - 1)
        steps = np.maximum(np.abs(np.diff(right)), np.abs(np.diff(down)))
        along = np.concatenate([[0.0], np.cumsum(steps)])  # in dots
        if along[-1] == 0:
            self._dots[round(down[0]), round(right[0])] = True
            return
        at = np.arange(0.0, along[-1] + 1e-9, every)
        dot_rows = np.rint(np.interp(at, along, down)).astype(int)
        dot_columns = np.rint(np.interp(at, along, right)).astype(int)
        self._dots[dot_rows, dot_columns] = True

    def _cell(self, x: float, y: float) -> tuple[int, int]:
        return round((1 - y) * (self.height - 1)), round(x * (self.width - 1))

    def mark(self, x: float, y: float, glyph: str) -> None:
        self._written[self._cell(x, y)] = glyph

    def write(self, x: float, y: float, text: str) -> None:
        row, column = self._cell(x, y)
        start = max(min(column, self.width - len(text) - 1), 0)
        for i, character in enumerate(f"{text} "):
            self._written[row, start + i] = character

    def rows(self) -> list[str]:
        blocks = self._dots.reshape(self.height, 4, self.width, 2).transpose(0, 2, 1, 3)
        codes = (blocks * BITS).sum(axis=(2, 3))
        made = []
        for row, line in enumerate(codes):
            texts = (self._written.get((row, c)) or _braille(code) for c, code in enumerate(line))
            made.append("".join(texts).rstrip())
        return made


def _braille(code: int) -> str:
    return chr(BRAILLE + int(code)) if code else " "


# -- bars --------------------------------------------------------------------------------------


def _bars(panel: Panel, width: int) -> list[str]:
    """A line for each row, the uppermost first."""
    names = {round(at): text for at, text in panel.y.ticks}
    margin = min(max(map(len, names.values()), default=0), width // 3)
    room = width - margin - 2
    items = [item for series in panel.series for item in series.items]
    most = max((x for item in items for x in item.xs), default=0.0) or 1.0
    rows = {row: [" "] * room for row in names}
    key = []
    blocks, glyphs = cycle(BLOCKS), cycle(GLYPHS)
    for series in panel.series:
        if not series.items:
            continue
        glyph = _glyph(series.mark, blocks, glyphs)
        key.append(f"{glyph} {series.name}")
        for item in series.items:
            _bar(rows[round(item.ys[0])], item, most, glyph)
    for at, place, text in panel.texts:
        start = max(min(round(at / most * room) - len(text) // 2, room - len(text)), 0)
        rows[round(place)][start : start + len(text)] = text
    made = [
        f"{names[row][:margin]:>{margin}} │{''.join(rows[row]).rstrip()}"
        for row in sorted(rows, reverse=True)
    ]
    made.append(" " * margin + " └" + "─" * room)
    ends = f"0{number(float(most)):>{room - 1}}"
    return [*made, " " * (margin + 2) + ends, f"  x: {panel.x.label}", "  " + "   ".join(key)]


def _glyph(mark: Mark, blocks: "cycle[str]", glyphs: "cycle[str]") -> str:
    if mark is Mark.SPANS:
        return next(blocks)
    return "─" if mark is Mark.LINES else next(glyphs)


def _bar(row: list[str], item: Item, most: float, glyph: str) -> None:
    first, last = (min(max(x / most, 0.0), 1.0) * len(row) for x in (item.xs[0], item.xs[-1]))
    start = min(math.floor(first + 0.5), len(row) - 1)
    end = max(math.floor(last + 0.5), start + 1)
    row[start:end] = glyph * (min(end, len(row)) - start)
