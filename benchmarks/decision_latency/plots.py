"""Time of a suggestion against observations, as SVG."""

from collections.abc import Mapping
from pathlib import Path

from benchmarks.decision_latency import targets
from benchmarks.decision_latency.measurements import Measurement
from benchmarks.decision_latency.samples import Summary
from benchmarks.decision_latency.tables import methods
from benchmarks.figures import figure, save


def draw(results: Mapping[Measurement, Summary], path: Path) -> Path:
    """Means, with bars from the median to the 99th percentile, and the targets.

    Raises:
        MissingDataError: matplotlib is not installed.
    """
    drawn = figure(8, 5.5)
    axes = drawn.subplots()
    for number, name in enumerate(methods(results)):
        own = sorted((m.observations, s) for m, s in results.items() if m.method == name)
        sizes, rows = zip(*own, strict=True)
        style = "dashed" if name.startswith("peer-") else "solid"
        color = f"C{number % 10}"
        means = [s.mean for s in rows]
        axes.plot(sizes, means, label=name, linestyle=style, marker=".", color=color, linewidth=1.2)
        axes.vlines(sizes, [s.p50 for s in rows], [s.p99 for s in rows], color=color, alpha=0.3)
    axes.plot(list(targets.MEAN), list(targets.MEAN.values()), "k_", markersize=14, label="target")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("observations at rungs")
    axes.set_ylabel("CPU time of a suggestion, ms: mean, p50 to p99")
    axes.grid(alpha=0.3)
    drawn.legend(loc="outside lower center", fontsize="small", ncols=4)
    return save(drawn, path)
