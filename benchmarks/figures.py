"""Figures as SVG, the same file for the same results."""

from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.surrogate import MissingDataError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def figure(width: float, height: float) -> "Figure":
    """An empty figure of a size in inches.

    Raises:
        MissingDataError: matplotlib is not installed.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDataError(
            "matplotlib is not installed: pip install '.[benchmarks]' in this repository"
        ) from error
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "hyperband"
    matplotlib.rcParams["svg.fonttype"] = "none"  # small, and found by a search
    return Figure(figsize=(width, height), layout="constrained")


def save(drawn: "Figure", path: Path) -> Path:
    """Writes a figure without the date."""
    drawn.savefig(path, metadata={"Date": None})
    return path
