"""Cost against size, both as powers, with the exponent of each line."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.figures import figure, save
from benchmarks.growth.figures import Line


def draw(parts: Mapping[str, Sequence[Line]], path: Path) -> Path:
    """One part beside the other: medians, and the 99th percentiles above them.

    Raises:
        MissingDataError: matplotlib is not installed.
    """
    drawn = figure(5.5 * len(parts), 5.0)
    for axes, (title, lines) in zip(
        drawn.subplots(1, len(parts), squeeze=False)[0], parts.items(), strict=True
    ):
        for number, line in enumerate(lines):
            sizes = [p.size for p in line.points]
            medians = [p.median * 1e6 for p in line.points]
            color, label = f"C{number}", f"{line.name}: n^{line.exponent:.2f}"
            axes.plot(sizes, medians, marker=".", color=color, label=label)
            axes.vlines(sizes, medians, [p.high * 1e6 for p in line.points], color=color, alpha=0.3)
        axes.tick_params(axis="x", which="minor", labelbottom=False)
        axes.set(xscale="log", yscale="log", xlabel=title, ylabel="CPU time, µs: median to p99")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7, loc="upper left")
        axes.set_ylim(top=axes.get_ylim()[1] * 4)
    return save(drawn, path)
