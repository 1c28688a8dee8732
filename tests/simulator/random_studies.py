"""Random studies for the invariant tests: each a function of its seed.

A study has at least 30 trials, 3 rungs, 4 slots, and 5 % of each fault.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from hyperband.backends.simulator.curves import AnalyticCurves, Benchmark, Curve
from hyperband.backends.simulator.faults import Faults
from hyperband.core.gp.resources import MODELS
from hyperband.core.records import (
    EarlierTrial,
    FailurePolicy,
    Goal,
    Objective,
    Resource,
    SearcherOptions,
    Sizes,
    Study,
)
from hyperband.core.rungs import Ladder
from hyperband.core.searchers import SEARCHERS
from hyperband.core.space import (
    Categorical,
    Constant,
    Distribution,
    Float,
    Integer,
    Ordinal,
    Parameter,
    Scale,
    Space,
    Value,
)

MODES = ("Promotion", "Stopping", "Synchronous", "None")

# (r_min, r_max, integer, eta): three to six levels, r_max a power of eta or not.
_RESOURCES = (
    (1, 9, True, 3.0),
    (1, 27, True, 3.0),
    (2, 27, True, 4.0),
    (1, 16, True, 2.0),
    (1, 32, True, 2.5),
    (3, 50, True, 2.5),
    (1, 81, True, 3.5),
    (1, 1000, True, 10.0),
    (0.1, 1.0, False, 3.0),
    (0.05, 2.0, False, 4.5),
    (1.5, 20.0, False, 2.25),
    (1e-3, 1.0, False, 10.0),
)

_PARAMETERS: tuple[Parameter, ...] = (
    Float("rate", 1e-5, 1e-1, scale=Scale.LOG),
    Integer("layers", 1, 4),
    Categorical("activation", ("relu", "tanh", True), weights=(0.6, 0.2, 0.2)),
    Ordinal("batch", (32, 64, 128)),
    Float("dropout", 0.0, 0.6, step=0.1, when={"layers": (2, 3, 4)}),
    Float("momentum", 0, 1, distribution=Distribution.NORMAL, mean=0.9, deviation=0.05),
    Integer("width", distribution=Distribution.LOG_NORMAL, mean=4.0, deviation=1.0),
    Constant("epsilon", 1e-8),
)
# Few configurations and no noise: many ties.
_FEW: tuple[Parameter, ...] = (Categorical("a", (1, 2, 3)), Ordinal("b", ("x", "y")))


class Remembered:
    """A benchmark that works out each curve once: a case is run several times."""

    def __init__(self, benchmark: Benchmark) -> None:
        self._benchmark = benchmark
        self._curves: dict[str, Curve] = {}

    def curve(self, parameters: dict[str, Value], seed: int) -> Curve:
        key = f"{parameters} {seed}"
        if key not in self._curves:
            self._curves[key] = self._benchmark.curve(parameters, seed)
        return self._curves[key]


@dataclass(frozen=True)
class Case:
    """All that one simulation needs."""

    seed: int
    study: Study
    benchmark: Benchmark
    faults: Faults
    changes: Mapping[int, int] = field(default_factory=dict)  # event: maxTrials from there on

    @property
    def ladder(self) -> Ladder:
        return Ladder.of(self.study)


def random_case(seed: int, searcher: str | None = None) -> Case:
    """The case of a seed. Modes, goals, ties and resources alternate, the rest is drawn.

    Args:
        searcher: instead of the one that the seed gives.
    """
    random = np.random.default_rng(seed)
    r_min, r_max, integer, eta = _RESOURCES[random.integers(len(_RESOURCES))]
    resource = Resource("epochs", r_min, r_max, integer)
    mode = MODES[seed % len(MODES)]
    objective = Objective("score", list(Goal)[seed // len(MODES) % 2])
    ties = random.random() < 0.2
    space = Space(parameters=_FEW if ties else _PARAMETERS)
    levels = len(Ladder(resource, eta, mode != "None"))
    study = Study(
        name=f"case-{seed}",
        objective=objective,
        resource=resource,
        space=space,
        max_trials=int(random.integers(30, 37)),
        seed=seed,
        parallelism=int(random.integers(4, 9)),
        eta=eta,
        mode=mode,
        brackets=int(random.integers(1, levels + 1)) if random.random() < 0.7 else 1,
        searcher=searcher or _searcher(seed),
        sizes=list(Sizes)[random.integers(2)] if mode != "None" else Sizes.FLOOR,
        failure_policy=FailurePolicy(
            retries=int(random.integers(0, 4)), max_failed_trials=int(random.integers(0, 20))
        ),
    )
    study = replace(
        study,
        options=_options(random),
        initial=tuple(_configurations(space, random, int(random.integers(3)))),
        earlier=_earlier(space, resource, random) if random.random() < 0.3 else (),
    )
    benchmark = AnalyticCurves(
        space,
        resource,
        objective,
        seconds=10.0 / r_max,
        noise=0.0 if ties else float(random.choice([0.01, 0.2])),
        steps=12,
        landscape=seed,
    )
    faults = _faults(random)
    changes: dict[int, int] = {}
    if random.random() < 0.3:
        changes = {
            int(event): int(limit)
            for event, limit in zip(
                random.integers(1, 300, 3), random.integers(20, 45, 3), strict=True
            )
        }
    return Case(seed, study, Remembered(benchmark), faults, changes)


def _options(random: np.random.Generator) -> SearcherOptions:
    return SearcherOptions(
        quasi_random=(None, True, False)[random.integers(3)],
        resource_model=list(MODELS)[random.integers(len(MODELS))],
        good_fraction=float(random.uniform(0.1, 0.5)),
        random_fraction=float(random.choice([0.0, 1 / 3])),
        population=int(random.integers(2, 13)) if random.random() < 0.5 else None,
        tournament=int(random.integers(1, 13)) if random.random() < 0.5 else None,
    )


def _configurations(
    space: Space, random: np.random.Generator, count: int
) -> list[Mapping[str, Value]]:
    return [space.sample(random.random(len(space.parameters))) for _ in range(count)]


def _earlier(
    space: Space, resource: Resource, random: np.random.Generator
) -> tuple[EarlierTrial, ...]:
    """Some trials of two earlier studies, whose reports came when they came."""
    return tuple(
        EarlierTrial(
            f"old-{index % 2}",
            parameters,
            tuple(
                (float(reached), float(random.standard_normal()))
                for reached in np.sort(random.uniform(0, resource.max, int(random.integers(4))))
            ),
        )
        for index, parameters in enumerate(_configurations(space, random, 8))
    )


def _searcher(seed: int) -> str:
    """One study of twenty has a Gaussian process, which costs more; the others share the rest."""
    others = [name for name in SEARCHERS if name != "GaussianProcess"]
    turn = seed // len(MODES)
    return "GaussianProcess" if turn % 20 == 0 else others[turn % len(others)]


def _faults(random: np.random.Generator) -> Faults:
    slow = random.random(3) < 0.7  # a third of the clusters are instantaneous
    return Faults(
        fail=0.05,
        disrupt=float(random.choice([0.05, 0.2])),
        silent=0.05,
        diverge=0.05,
        late=float(random.choice([0.05, 0.5])),
        merged=float(random.choice([0.05, 0.4])),
        repeated=0.05,
        late_seconds=float(slow[0]) * 2.0,
        start_seconds=float(slow[1]) * 1.0,
        stop_seconds=float(slow[2]) * 2.0,
        checkpoint_every=int(random.integers(1, 4)),
    )
