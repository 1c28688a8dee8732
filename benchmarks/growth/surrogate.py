"""CPU time of one appended observation, and of a suggestion."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np

from benchmarks.decisions import study
from benchmarks.growth.figures import Line, point
from benchmarks.player import Player, timed
from hyperband.core.engine import Engine
from hyperband.core.gp.kernels import Layout
from hyperband.core.gp.model import Model
from hyperband.core.gp.posterior import Factor
from hyperband.core.gp.resources import MODELS
from hyperband.core.records import Study, Trial
from hyperband.core.rungs import Ladder
from hyperband.core.seeds import generator
from hyperband.core.space import Float, Space

SPACE = Space(tuple(Float(f"x{i}", 0.0, 1.0) for i in range(7)))  # as many axes as LCBench has
REPEATS = 15


def numeric(searcher: str) -> Study:
    """A study of numbers alone."""
    return replace(study("Stopping"), space=SPACE, searcher=searcher)


def appended(rows: Sequence[int]) -> Line:
    """One observation appended to a factor of so many."""
    given, random, points = numeric("GaussianProcess"), generator(0, 0, "growth"), []
    levels = np.array(Ladder.of(given).levels, dtype=float)
    model = Model(Layout.of(SPACE), MODELS["ExponentialDecay"](levels))
    for count in rows:
        x = random.random((count + 1, SPACE.dimension))
        k = random.integers(len(levels), size=count + 1)
        factor = Factor.empty(model.kernel(model.start), SPACE.dimension).append(x[:-1], k[:-1])
        costs = [timed(lambda: factor.append_each(x[-1:], k[-1:]))[1] for _ in range(REPEATS)]  # noqa: B023
        points.append(point(count, [cost.cpu for cost in costs]))
    return Line("one observation appended", points)


def suggested(sizes: Sequence[int]) -> Iterator[Line]:
    """One more value and one more suggestion: what the operator's own process does, and all."""
    own, whole = [], []
    filling = Player(Engine(numeric("Random")), _loss(), 0)
    for size in sizes:
        while len(filling.engine.trials) < size:
            for _ in filling.play():
                pass
        costs = list(islice(_suggestions(filling.engine.trials.values()), 1, REPEATS + 1))
        own.append(point(size, [here for here, _ in costs]))
        whole.append(point(size, [here + elsewhere for here, elsewhere in costs]))
    yield Line("value and suggestion, operator's process", own)
    yield Line("value and suggestion, all processes", whole)


def _loss() -> Callable[[Trial, float], float]:
    random = generator(0, 1, "growth")

    def loss(trial: Trial, resource: float) -> float:
        x = np.array([float(value) for value in trial.parameters.values()])  # numbers alone
        return float(((x - 0.3) ** 2).sum() + 1.0 / resource + random.random() / 10.0)

    return loss


def _suggestions(records: Iterable[Trial]) -> Iterator[tuple[float, float]]:
    """CPU seconds here and elsewhere, fits left out; the first one begins without a factor."""
    engine = Engine(numeric("GaussianProcess"), records)
    player, grown = Player(engine, _loss(), 0), None
    while True:
        value = player.arrive()
        while not engine.starts():
            value = player.arrive()
        if (fitting := engine.fitting()) is not None:
            engine.fitted(fitting())
        proposing, asked = timed(engine.proposing)
        assert proposing is not None
        (proposal, grown), searched = timed(lambda: proposing(grown))  # noqa: B023
        engine.proposed(proposal)
        decision, launched = timed(engine.launch)
        assert decision is not None
        _, put = timed(lambda: engine.put(decision.trial))  # noqa: B023
        yield (value.cost + asked + launched + put).cpu, searched.cpu
