"""What one decision of the engine costs as a study grows.

For each size: an engine with that many decided trials; then, over and over, a free slot is filled
and the new value judged. Growth matters more than the figures: a rung keeps its values in order, so
a decision is a binary search.
"""

import time
from dataclasses import replace

import numpy as np
from rich.console import Console
from rich.table import Table

from hyperband.core.engine import Engine
from hyperband.core.records import Objective, Report, Resource, Study, Trial, TrialState
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


def play(engine: Engine, loss: np.random.Generator) -> list[float]:
    """Launches a trial and observes its next value; the seconds of each of the decisions."""
    seconds = []
    while True:
        start = time.perf_counter()
        decision = engine.launch()
        if decision is not None:
            engine.put(decision.trial)
        seconds.append(time.perf_counter() - start)
        if decision is None:
            break
    trial = min(engine.active, key=lambda t: t.index)
    level = engine.ladder.first(trial.bracket) if trial.level is None else trial.level + 1
    report = Report(engine.ladder[level], float(loss.random()))
    start = time.perf_counter()
    answer = engine.observe(trial.index, [report])
    if answer is not None:
        engine.put(answer.trial)
    seconds.append(time.perf_counter() - start)
    return seconds


def measure(mode: str, size: int) -> tuple[float, float, float]:
    """Median and 99th percentile of a decision, and the rebuild of the engine, in seconds."""
    engine, loss = Engine(study(mode)), generator(0, size, "bench")
    while len(engine.trials) < size:
        play(engine, loss)
    samples: list[float] = []
    while len(samples) < DECISIONS:
        samples += play(engine, loss)
    records = [_settled(trial) for trial in engine.trials.values()]
    start = time.perf_counter()
    Engine(engine.study, records)
    rebuild = time.perf_counter() - start
    return float(np.median(samples)), float(np.quantile(samples, 0.99)), rebuild


def _settled(trial: Trial) -> Trial:
    return replace(trial, state=TrialState.STOPPED) if trial.state.active else trial


def run(console: Console) -> None:
    """Prints the table."""
    table = Table(title="Decisions of the engine", title_justify="left")
    for column in ("mode", "trials", "median, µs", "p99, µs", "rebuild, s"):
        table.add_column(column, justify="right")
    for mode in ("Promotion", "Stopping"):
        for size in SIZES:
            median, high, rebuild = measure(mode, size)
            row = (f"{median * 1e6:.1f}", f"{high * 1e6:.1f}", f"{rebuild:.3f}")
            table.add_row(mode, str(size), *row)
    console.print(table)
