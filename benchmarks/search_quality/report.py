"""The report: tables and pictures of all comparisons, in one Markdown file."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.search_quality import plots, tables
from benchmarks.search_quality.benchmark import problem
from benchmarks.search_quality.comparison import Column, Comparison, comparisons
from benchmarks.search_quality.runs import BUDGET, Run
from benchmarks.search_quality.scores import Score, score

INTRODUCTION = f"""\
# Search quality

Normalized regret: 0 is the best value that an extensive search has found, 1 the median of random
configurations, both trained in full. Budget: {BUDGET:g} times the mean seconds of a full run of the
task; decisions take no simulated time. Means over the seeds of a task, then over tasks; standard
errors come from the seeds alone. *Area* is the mean regret over the budget. *Rank* is by final
regret, mean over tasks, among the rows of its table. *Time to ASHA's final* is the fraction of the
budget at which the mean regret reaches that of ASHA at the end, with as many workers: ours or the
peer's, stopping or promotion, whichever is best. Methods named peer-… are Syne Tune 0.14.2's.
†n: so many of the runs were cut short by a cap on real time, and count with what they had.
Real times are of the machine that made the runs, other work beside it.
"""


def collect(runs: Iterable[Run], folder: Path) -> dict[Column, dict[tuple[str, int], Score]]:
    """The scores of all runs that are there, by column and cell."""
    scores: dict[Column, dict[tuple[str, int], Score]] = {}
    for run in runs:
        content = run.load(folder)
        if content is not None:
            own = scores.setdefault(Column(run.method.name, run.workers), {})
            own[run.task, run.seed] = score(content, problem(run.task))
    return scores


def write_report(runs: Sequence[Run], folder: Path, out: Path, command: str) -> list[Path]:
    """Writes the report of these runs, as far as they are there, and its pictures beside it.

    Returns: what was written. Raises MissingDataError if matplotlib is missing.
    """
    out.mkdir(parents=True, exist_ok=True)
    wanted = {(run.task, run.seed) for run in runs}
    parts, written = [INTRODUCTION, f"Command: `{command}`\n"], []
    for number, each in enumerate(comparisons(collect(runs, folder), wanted)):
        pictures = plots.draw(each, out, f"regret-{number}")
        parts += _section(each, pictures)
        written += pictures
    path = out / "report.md"
    path.write_text("\n".join(parts), encoding="utf-8")
    return [path, *written]


def _section(given: Comparison, pictures: Sequence[Path]) -> list[str]:
    seeds = sorted({seed for _, seed in given.cells})
    title = f"## {len(given.tasks)} tasks, {len(given.cells)} runs of each method\n"
    cells = f"Seeds {', '.join(map(str, seeds))}; tasks {', '.join(given.tasks)}.\n"
    images = [f"![{path.stem}]({path.name})\n" for path in pictures]
    return [
        title,
        cells,
        tables.summary(given) + "\n",
        tables.costs(given) + "\n",
        *images,
        "### Final regret by task\n",
        tables.per_task(given) + "\n",
        "### Furthest behind the best of the task\n",
        tables.worst(given) + "\n",
    ]
