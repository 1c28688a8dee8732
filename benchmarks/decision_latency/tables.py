"""Measurements as Markdown tables."""

from collections.abc import Iterable, Mapping
from typing import Any

from benchmarks.decision_latency import targets
from benchmarks.decision_latency.measurements import DEFAULT, MOBSTER, Measurement
from benchmarks.decision_latency.samples import Summary
from benchmarks.search_quality.tables import markdown

Results = Mapping[Measurement, Summary]


def sizes(results: Iterable[Measurement]) -> list[int]:
    return sorted({each.observations for each in results})


def methods(results: Iterable[Measurement]) -> list[str]:
    return list(dict.fromkeys(each.method for each in results))


def means(results: Results) -> str:
    """CPU time a suggestion, by method and observations; empty where nothing was measured."""
    columns = sizes(results)
    cells = {(each.method, each.observations): summary for each, summary in results.items()}
    rows = []
    for name in methods(results):
        known = [cells.get((name, size)) for size in columns]
        rows.append([name, *(_ms(each.mean) if each else "" for each in known)])
    return markdown(["method", *(f"{size:,}" for size in columns)], rows)


def details(results: Results) -> str:
    """One row a measurement."""
    head = ["method", "observations", "suggestions", "mean", "p50", "p99", "worst", "of it fits"]
    head += ["real time", "first", "memory, MB", "own, MB"]
    rows = []
    for each, s in results.items():
        times = (s.mean, s.p50, s.p99, s.worst, s.fit, s.wall, s.first)
        rows.append(
            [
                each.method,
                f"{each.observations:,}",
                f"{s.count:,}",
                *map(_ms, times),
                f"{s.memory:.0f}",
                f"{s.own:.0f}",
            ]
        )
    return markdown(head, rows)


def against_targets(results: Results) -> str:
    """The targets beside what was measured of the default method and the peer's."""
    own = {each.observations: s for each, s in results.items() if each.method == DEFAULT}
    peer = {each.observations: s for each, s in results.items() if each.method == MOBSTER}
    rows = [
        [f"mean at {size:,}, ms", f"{most:g}", f"{own[size].mean:.1f}"]
        for size, most in targets.MEAN.items()
        if size in own
    ]
    if targets.LARGE in own:
        large = own[targets.LARGE]
        rows += [
            [f"worst at {targets.LARGE:,}, ms", f"{targets.WORST:g}", f"{large.worst:.1f}"],
            [f"first at {targets.LARGE:,}, ms", f"{targets.WORST:g}", f"{large.first:.1f}"],
            [f"memory at {targets.LARGE:,}, MB", f"{targets.MEMORY:g}", f"{large.memory:.0f}"],
        ]
    for size in sorted(own.keys() & peer.keys()):
        times = peer[size].mean / own[size].mean
        rows.append(
            [f"times as fast as {MOBSTER} at {size:,}", f"{targets.SPEEDUP:g}", f"{times:.1f}"]
        )
    return markdown(["", "target", "measured"], rows)


def profile(part: Mapping[str, Any]) -> str:
    """The functions that take longest, in milliseconds a suggestion."""
    rows = [
        [
            f"`{row['function']}`",
            f"{row['calls']:.1f}",
            f"{row['own']:.2f}",
            f"{row['cumulative']:.2f}",
        ]
        for row in part["functions"]
    ]
    return markdown(["function", "calls", "own, ms", "with what it calls, ms"], rows)


def shares(parts: Mapping[str, Mapping[str, Any]]) -> str:
    """What each kind of work takes of a suggestion, as a percentage of all of it."""
    total = sum(part["total"] for part in parts.values())
    kinds: dict[str, float] = {}
    for part in parts.values():
        for kind, ms in part["shares"].items():
            kinds[kind] = kinds.get(kind, 0.0) + ms
    rows = []
    for kind in sorted(kinds, key=lambda kind: -kinds[kind]):
        each = [part["shares"].get(kind, 0.0) for part in parts.values()]
        rows.append([kind, *(f"{ms / total:.1%}" for ms in (*each, kinds[kind]))])
    return markdown(["kind of work", *parts, "both"], rows)


def _ms(milliseconds: float) -> str:
    """Three digits, or all before the point."""
    return f"{milliseconds:.3g}" if milliseconds < 999.5 else f"{milliseconds:,.0f}"
