"""The report: what suggestions cost, beside the targets, in one Markdown file."""

import platform
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.decision_latency import plots, tables
from benchmarks.decision_latency.measurements import PENDING, Measurement
from benchmarks.decision_latency.samples import Summary, summary

INTRODUCTION = f"""\
# Latency of decisions

A study by promotion with {PENDING} trials pending. Observations of random configurations are put
in; then suggestions are timed while values go on arriving and fits come on their schedule, so that
a mean has its share of the fits. One thread; milliseconds of CPU time where nothing else is said
(other work on the machine makes real time longer). *First* is the first suggestion after the
records were read, whose fit has nothing to start from; it is in no other figure. Memory is the most
that the process had, libraries and surrogate included; *own* is what came on top of them. Methods
named peer-… are Syne Tune 0.14.2's.
"""


def write_report(
    wanted: Sequence[Measurement], folder: Path, out: Path, command: str
) -> list[Path]:
    """Writes the report of these measurements, as far as they are there, and its pictures.

    Returns: what was written. Raises MissingDataError if matplotlib is missing.
    """
    out.mkdir(parents=True, exist_ok=True)
    machine = f"Machine: {platform.processor() or platform.machine()}, {platform.platform()}.\n"
    parts, written = [INTRODUCTION, f"Command: `{command}`\n", machine], []
    for task in dict.fromkeys(each.task for each in wanted):
        results = collect((m for m in wanted if m.task == task and m.kind == "latency"), folder)
        if results:
            picture = plots.draw(results, out / f"latency-{task}.svg")
            parts += _latency(task, results, picture)
            written.append(picture)
    for each in wanted:
        content = each.load(folder) if each.kind == "profile" else None
        if content:
            parts += _profile(each, content)
    path = out / "report.md"
    path.write_text("\n".join(parts), encoding="utf-8")
    return [path, *written]


def collect(wanted: Iterable[Measurement], folder: Path) -> dict[Measurement, Summary]:
    """What there is, by method as they were asked for, then by observations."""
    found = {each: content for each in wanted if (content := each.load(folder)) is not None}
    order = tables.methods(found)
    ordered = sorted(found, key=lambda each: (order.index(each.method), each.observations))
    return {each: summary(found[each]) for each in ordered}


def _latency(task: str, results: dict[Measurement, Summary], picture: Path) -> list[str]:
    measured = tables.against_targets(results) if task.startswith("lcbench") else ""
    return [
        f"## {task}: mean CPU time of a suggestion by observations, ms\n",
        tables.means(results) + "\n",
        f"![{picture.stem}]({picture.name})\n",
        *([measured + "\n"] if measured else []),
        f"### {task}: all figures, ms\n",
        tables.details(results) + "\n",
    ]


def _profile(measurement: Measurement, content: dict[str, Any]) -> list[str]:
    parts = {name: content[name] for name in ("launch", "fit")}
    total = sum(part["total"] for part in parts.values())
    return [
        f"## Profile: {measurement.method} on {measurement.task}, "
        f"{measurement.observations:,} observations\n",
        f"{total:.1f} ms of CPU a suggestion under the profiler, over {content['suggestions']} of "
        "them. Work of libraries counts for what asked for it.\n",
        tables.shares(parts) + "\n",
        "Of a suggestion without its fit:\n",
        tables.profile(content["launch"]) + "\n",
    ]
