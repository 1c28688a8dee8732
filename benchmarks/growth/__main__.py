"""`python -m benchmarks.growth`: measures, prints and draws it."""

import argparse
import dataclasses
import json
import multiprocessing
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.growth import decisions, plots, surrogate
from benchmarks.growth.figures import Line

SIZES = (100, 1_000, 10_000, 100_000, 1_000_000)
ROWS = (125, 250, 500, 1_000, 2_000, 4_000)  # the searcher has 2,000 at most
MOST_SUGGESTED = 100_000


def main() -> None:
    """Each part at every size up to the largest that is wanted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--most",
        type=int,
        default=SIZES[-2],
        metavar="TRIALS",
        help=f"at least {SIZES[0]} (default: %(default)s); 1000000 takes 1.2 GB",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path(__file__).parent,
        help="the folder of growth.json and growth.svg (default: those in the repository)",
    )
    given = parser.parse_args()
    if given.most < SIZES[0]:
        parser.error(f"--most: {given.most} is below {SIZES[0]}")
    given.out.mkdir(parents=True, exist_ok=True)  # rather now than after all is measured
    sizes = [size for size in SIZES if size <= given.most]
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, fresh, max_tasks_per_child=1) as pool:
        found = list(pool.map(partial(decisions.lines, sizes=sizes), decisions.MODES))
    parts = {f"trials recorded, {m}": each for m, each in zip(decisions.MODES, found, strict=True)}
    parts["trials recorded, GaussianProcess"] = list(
        surrogate.suggested([size for size in sizes if size <= MOST_SUGGESTED])
    )
    parts["observations that the factor is made of"] = [surrogate.appended(ROWS)]
    show(line for lines in parts.values() for line in lines)
    kept = {name: [dataclasses.asdict(line) for line in lines] for name, lines in parts.items()}
    (given.out / "growth.json").write_text(json.dumps(kept, indent=1) + "\n")
    print(plots.draw(parts, given.out / "growth.svg"))


def show(lines: Iterable[Line]) -> None:
    """Prints the table."""
    table = Table(title="CPU time of one decision", title_justify="left")
    for column in ("what", "n", "median, µs", "p99, µs", "samples", "exponent", "bytes a trial"):
        table.add_column(column, justify="right")
    for line in lines:
        for p in line.points:
            last = p is line.points[-1]
            ends = (f"{line.exponent:.2f}", f"{line.memory:,.0f}") if last else ("", "")
            figures = (f"{p.median * 1e6:,.1f}", f"{p.high * 1e6:,.1f}", str(p.samples))
            table.add_row(line.name, f"{p.size:,}", *figures, *ends)
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
