"""Figures drawn by matplotlib, as PNG and SVG."""

import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle
from math import ceil
from typing import TYPE_CHECKING, Any, Final

from hyperband.plots.figure import Axis, Figure, Item, Mark, Panel, Series, number, whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

# Told apart by those who see no red or no green (Okabe and Ito), and on black as on white.
COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#5a6ee0")
SHADES: Final = ("#9fc3e6", "#8577d6", "#d5007f")  # worst to best; seen on white and on black
INK, GRID, PALE, PAPER = "#1b1f24", "#d9dde2", "#8a94a0", "#ffffff"
MARKERS: Final = ("o", "X", "^", "s", "D", "P")
HATCHES: Final = ("", "///", "...", "xx", "\\\\\\", "++")
WIDTH, HEIGHT, ROW = 9.0, 4.8, 0.26  # inches
COLUMNS = 3  # of panels
TURNED = 9  # so many characters of names fit beside one another

RC: Final[Any] = {
    "text.parse_math": False,  # `$` in a name is a dollar
    "svg.fonttype": "none",
    "svg.hashsalt": "hyperband",  # the same figure is the same file
    "font.size": 9,
    "axes.edgecolor": PALE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "hatch.linewidth": 0.6,
    "figure.facecolor": PAPER,
    "axes.facecolor": "none",
    "legend.frameon": False,
    **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
}


class MissingLibraryError(Exception):
    """matplotlib is not installed; the message says how to get it."""


def draw(figure: Figure, form: str, *, transparent: bool = False) -> bytes:
    """The figure as a file; groups of marks have ids `items-N`, N counting series with items.

    Args:
        form: png or svg.

    Raises:
        MissingLibraryError: matplotlib is not installed.
    """
    made = canvas(figure, "leave --out out: the terminal needs none")
    return saved(made, form, transparent=transparent)


def canvas(figure: Figure, otherwise: str = "") -> "Canvas":
    """The figure as one of matplotlib's.

    Args:
        otherwise: what else a person may do who has no matplotlib.

    Raises:
        MissingLibraryError: matplotlib is not installed.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure as Canvas
    except ImportError as error:
        mend = "pip install '.[plots]' in this repository" + (otherwise and f", or {otherwise}")
        raise MissingLibraryError(f"matplotlib is not installed: {mend}") from error
    with matplotlib.rc_context(RC), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # signs that the font lacks are drawn as boxes
        made = Canvas(figsize=_size(figure), layout="constrained")
        columns = min(COLUMNS, len(figure.panels)) or 1
        grid = made.subplots(ceil(len(figure.panels) / columns) or 1, columns, squeeze=False)
        axes: list[Axes] = list(grid.flat)
        numbers = iter(range(10**6))
        for i, (panel, ax) in enumerate(zip(figure.panels, axes, strict=False)):
            _panel(ax, panel, numbers, key=len(figure.panels) == 1)
            if i % columns and panel.y.label == figure.panels[i - 1].y.label:
                ax.set_ylabel("")  # that of the panel at its left
        for ax in axes[len(figure.panels) :]:
            ax.set_axis_off()
        if figure.title:
            made.suptitle(figure.title, fontsize=11, fontweight="bold")
        if len(figure.panels) > 1:  # one key for all
            _key(made, axes)
        if figure.shades:
            _shade_bar(made, axes, figure.shades)
        if figure.notes:
            made.supxlabel("\n".join(figure.notes), fontsize=7.5, color=PALE)
    return made


def saved(made: "Canvas", form: str, *, transparent: bool = False) -> bytes:
    """What `canvas` has drawn, as a file."""
    import matplotlib

    file = io.BytesIO()
    with matplotlib.rc_context(RC), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # as above
        metadata = {"Date": None} if form == "svg" else None
        made.savefig(file, format=form, dpi=110, metadata=metadata, transparent=transparent)
    return file.getvalue()


def _size(figure: Figure) -> tuple[float, float]:
    if len(figure.panels) > 1:
        return WIDTH, 1.0 + 2.5 * ceil(len(figure.panels) / COLUMNS)
    rows = max((len(panel.y.ticks) for panel in figure.panels if panel.rows), default=0)
    return WIDTH, max(2.4, 1.6 + ROW * rows) if rows else HEIGHT


def _panel(ax: "Axes", panel: Panel, numbers: Iterator[int], *, key: bool) -> None:
    ax.grid(True, axis="x" if panel.rows else "both", linewidth=0.6)
    _axis(ax, panel.x, "x", panel.xs)
    _axis(ax, panel.y, "y", panel.ys)
    styles = zip(cycle(COLOURS), cycle(MARKERS), cycle(HATCHES), strict=False)
    drawn = [series for series in panel.series if series.items]
    for series, (colour, marker, hatch) in zip(panel.series, styles, strict=False):
        if not series.items:  # a series is drawn alike in all panels
            continue
        artist = _series(ax, series, colour, marker, hatch)
        artist.set_gid(f"items-{next(numbers)}")
    ax.autoscale_view()
    if panel.rows:
        ax.set_ylim(-0.6, max(len(panel.y.ticks), 1) - 0.4)
        ax.set_xlim(left=0)
    for x, y, text in panel.texts:
        _text(ax, x, y, text, inside=panel.rows)
    if not drawn:
        ax.text(0.5, 0.5, "nothing to draw yet", ha="center", va="center", transform=ax.transAxes)
    if key and len(drawn) > 1 and drawn[0].items[0].shade is None:
        beside: Any = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)}
        ax.legend(fontsize=7.5, **(beside if panel.rows else {"loc": "best"}))


def _key(canvas: Any, axes: Sequence["Axes"]) -> None:
    """What is drawn in any of the panels, each once."""
    named: dict[str, Any] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            named.setdefault(label, handle)
    canvas.legend(named.values(), named.keys(), loc="outside upper right", fontsize=7.5)


def _text(ax: "Axes", x: float, y: float, text: str, *, inside: bool) -> None:
    """In the middle of a bar, or at the right of an axis."""
    made = ax.annotate(
        text,
        (x, y),
        (0 if inside else 3, 0),
        textcoords="offset points",
        fontsize=7,
        va="center",
        ha="center" if inside else "left",
    )
    made.set_bbox(
        {"facecolor": PAPER, "linewidth": 0, "pad": 1.0, "alpha": 0.85 if inside else 0.5}
    )


def _axis(ax: "Axes", axis: Axis, which: str, values: Sequence[float]) -> None:
    from matplotlib.ticker import MaxNLocator

    set_scale, set_label = getattr(ax, f"set_{which}scale"), getattr(ax, f"set_{which}label")
    drawn = getattr(ax, f"{which}axis")
    if axis.log:
        set_scale("log")
        drawn.set_major_formatter(lambda value, _: f"{value:g}")
        drawn.set_minor_formatter(_between(values))
    elif whole(values):
        drawn.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))
    set_label(axis.label)
    if axis.ticks:
        places, texts = zip(*axis.ticks, strict=True)
        long = which == "x" and sum(map(len, texts)) > TURNED * 8
        style = {"rotation": 30, "ha": "right"} if long else {}
        getattr(ax, f"set_{which}ticks")(places, texts, **style)
        getattr(ax, f"set_{which}ticks")([], minor=True)


def _between(values: Sequence[float]) -> Callable[[float, object], str]:
    """What is written between the powers of ten: the more, the fewer of them are drawn."""
    wide = max(values, default=1.0) / min(values, default=1.0)
    digits = "" if wide >= 100 else "25" if wide >= 5 else "23456789"
    return lambda value, _: f"{value:g}" if f"{value:e}"[0] in digits else ""


def _series(ax: "Axes", series: Series, colour: str, marker: str, hatch: str) -> Any:
    from matplotlib.collections import LineCollection, PolyCollection

    items, alpha = series.items, 0.4 if series.faint else 0.9
    if series.mark is Mark.POINTS:
        size = 12 if series.faint else 28
        xs, ys = [i.xs[0] for i in items], [i.ys[0] for i in items]
        return ax.scatter(
            xs,
            ys,
            size,
            c=_colours(items, colour),
            marker=marker,
            alpha=max(alpha, 0.5),
            label=series.name,
            linewidths=0,
        )
    if series.mark is Mark.SPANS:
        boxes = [_box(item) for item in items]
        made: Any = PolyCollection(
            boxes,
            facecolors=colour,
            edgecolors=PAPER,
            linewidths=0.4,
            alpha=0.55 if series.faint else 0.9,
        )
        made.set_hatch(hatch)
    else:
        paths = [list(zip(item.xs, item.ys, strict=True)) for item in items]
        width = 0.8 if series.faint else 1.8 if series.name.startswith("best") else 1.1
        made = LineCollection(paths, colors=_colours(items, colour), linewidths=width, alpha=alpha)
        single = [item for item in items if len(item.xs) == 1]
        ax.scatter(
            [i.xs[0] for i in single],
            [i.ys[0] for i in single],
            8,
            c=_colours(single, colour),
            alpha=alpha,
            linewidths=0,
        )
    made.set_label(series.name)
    ax.add_collection(made)
    return made


def _box(item: Item) -> list[tuple[float, float]]:
    (left, right), row = item.xs, item.ys[0]
    return [(left, row - 0.36), (right, row - 0.36), (right, row + 0.36), (left, row + 0.36)]


def _colours(items: Sequence[Item], colour: str) -> Any:
    if not items or items[0].shade is None:
        return colour
    return _shades()([item.shade or 0.0 for item in items])


def _shades() -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("worst to best", SHADES)


def _shade_bar(canvas: Any, axes: Sequence["Axes"], label: str) -> None:
    from matplotlib.cm import ScalarMappable

    bar = canvas.colorbar(ScalarMappable(cmap=_shades()), ax=list(axes), pad=0.02, aspect=30)
    bar.set_ticks([0, 1], labels=["worst", "best"])
    bar.set_label(label)


def caption(value: object) -> str:
    """A cell of a figure's table."""
    return "" if value is None else number(value)
