"""What one decision of the engine costs as a study grows, under each scheduler.

For each size: an engine with that many trials; then, over and over, free slots are filled and a
new value is judged. Growth matters more than the figures: a rung keeps its values in order, so a
decision is a binary search. Searchers are measured in `decision_latency`.
"""

from dataclasses import dataclass, replace
from itertools import chain, repeat

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.player import Player, timed
from hyperband.core.engine import Engine
from hyperband.core.records import Objective, Resource, Study, Trial, TrialState
from hyperband.core.schedulers import SCHEDULERS
from hyperband.core.seeds import generator
from hyperband.core.space import Float, Space

SIZES = (100, 1_000, 10_000, 100_000)
DECISIONS = 2_000


def study(mode: str) -> Study:
    """One parameter, 1 to 81 epochs, more trials than will ever start."""
    return Study(
        name="bench",
        objective=Objective("loss"),
        resource=Resource("epochs", 1, 81),
        space=Space((Float("x", 0.0, 1.0),)),
        max_trials=10**9,
        seed=0,
        parallelism=8,
        mode=mode,
    )


@dataclass(frozen=True, slots=True)
class Figures:
    """CPU seconds."""

    median: float  # of a decision, until the engine knows of it
    high: float  # the 99th percentile
    rebuild: float  # of the engine, from its records


def measure(mode: str, size: int, decisions: int) -> Figures:
    """What `decisions` decisions cost in an engine with at least so many trials."""
    loss = generator(0, size, "bench")
    player = Player(Engine(study(mode)), lambda trial, resource: float(loss.random()), 0)
    while len(player.engine.trials) < size:
        for _ in player.play():
            pass
    played = chain.from_iterable(player.play() for _ in repeat(None))
    samples = [each.cost.cpu for each, _ in zip(played, range(decisions), strict=False)]
    records = [_settled(trial) for trial in player.engine.trials.values()]
    _, rebuild = timed(lambda: Engine(player.engine.study, records))
    return Figures(float(np.median(samples)), float(np.quantile(samples, 0.99)), rebuild.cpu)


def _settled(trial: Trial) -> Trial:
    return replace(trial, state=TrialState.STOPPED) if trial.state.active else trial


def run(console: Console) -> None:
    """Prints the table."""
    table = Table(title="Decisions of the engine, CPU time", title_justify="left")
    for column in ("mode", "trials", "median, µs", "p99, µs", "rebuild, s"):
        table.add_column(column, justify="right")
    for mode in SCHEDULERS:
        for size in SIZES:
            figures = measure(mode, size, DECISIONS)
            row = (f"{figures.median * 1e6:.1f}", f"{figures.high * 1e6:.1f}")
            table.add_row(mode, str(size), *row, f"{figures.rebuild:.3f}")
    console.print(table)
