"""1,000 random studies with injected faults; the invariants hold after every event.

Each study runs twice: undisturbed, and with the operator killed again and again. Both runs must
take the same decisions. Replay a failing one alone with

    HYPERBAND_SIMULATOR_SEED=123 pytest tests/simulator/test_invariants.py
"""

import os
from collections import Counter
from collections.abc import Collection
from itertools import pairwise

import pytest

from hyperband.backends.simulator.simulation import Result, Simulation
from hyperband.backends.simulator.workers import Attempt
from hyperband.core.decisions import Action, Reason
from hyperband.core.engine import Engine
from hyperband.core.schedulers import SCHEDULERS
from hyperband.core.searchers import SEARCHERS
from tests.simulator.invariants import Invariants
from tests.simulator.random_studies import MODES, Case, random_case

STUDIES, CHUNK = 1000, 50
REPLAY = os.environ.get("HYPERBAND_SIMULATOR_SEED")
CHUNKS = [range(first, first + CHUNK) for first in range(0, STUDIES, CHUNK)]
if REPLAY:
    CHUNKS = [range(int(REPLAY), int(REPLAY) + 1)]

seen: Counter[Action | Reason | str] = Counter()  # over all chunks of this process


class Run(Invariants):
    """One simulation under all checks, while maxTrials is changed."""

    def __init__(self, case: Case, kills: float, sample: int) -> None:
        super().__init__(case.study, case.ladder.levels, sample)
        self.changes = case.changes
        self.simulation = Simulation(
            case.study, case.benchmark, case.faults, kills=kills, observer=self
        )
        self.result = self.simulation.run()

    def after_event(self, engine: Engine, attempts: Collection[Attempt]) -> None:
        super().after_event(engine, attempts)
        limit = self.changes.get(self.events)
        if limit is not None and self.simulation.finish is None:
            self.max_trials_changed(limit)
            self.simulation.change(self.study)


def check_incumbent(case: Case, result: Result) -> None:
    """It only ever gets better, and ends with no worse than the best value at a rung."""
    loss = case.study.objective.loss
    seconds = [second for second, _ in result.incumbent]
    losses = [loss(value) for _, value in result.incumbent]
    assert seconds == sorted(seconds)
    assert all(later < earlier for earlier, later in pairwise(losses))
    values = [loss(value.value) for trial in result.trials for value in trial.rungs]
    assert not values or losses[-1] <= min(values)


def check(case: Case) -> None:
    """One study, undisturbed and killed."""
    run = Run(case, kills=0.0, sample=150)
    result = run.result
    assert result.finish is not None
    reached = run.finished(result.finish.reason)
    assert 0 < result.utilization <= 1 + 1e-9
    check_incumbent(case, result)
    killed = Run(case, kills=0.05, sample=0)
    assert killed.records == run.records
    assert killed.result == result
    seen.update(run.seen)
    seen["deaths"] += killed.simulation.deaths
    mode = case.study.mode
    seen.update([mode, result.finish.reason, f"{mode} reached r_max" if reached else "stuck"])
    seen[f"{mode} with {case.study.searcher}"] += 1
    seen.update(f"origin {trial.suggestion.origin}" for trial in result.trials)
    if run.least:
        seen[f"{mode} changed"] += 1
    if mode == "Synchronous" and len(list(run.instances())) > 1:
        seen["several instances"] += 1


@pytest.mark.parametrize("seeds", CHUNKS, ids=lambda r: f"{r.start}-{r.stop - 1}")
def test_invariants(seeds: range) -> None:
    for seed in seeds:
        try:
            check(random_case(seed))
        except Exception as error:
            again = f"replay it with HYPERBAND_SIMULATOR_SEED={seed}"
            raise AssertionError(f"study {seed}: {error!r}; {again}") from error


@pytest.mark.skipif(bool(REPLAY), reason="needs all studies")
def test_the_studies_saw_everything() -> None:
    """The test above is not vacuous: every decision happens, and most studies reach r_max."""
    if not seen:
        pytest.skip("runs after test_invariants, in the same process")
    studies = sum(seen[mode] for mode in MODES)
    elsewhere = {Reason.SUSPENDED, Reason.TARGET_REACHED}  # test_lifecycle.py, test_simulation.py
    assert set(Action) | set(Reason) - elsewhere <= set(seen)
    assert {f"{mode} with {searcher}" for mode in SCHEDULERS for searcher in SEARCHERS} <= set(seen)
    origins = {"Initial", "Earlier", *SEARCHERS}
    assert all(seen[f"origin {origin}"] > studies / 20 for origin in origins)
    assert seen["deaths"] > 5 * studies
    assert seen["Exhausted"] > studies / 2
    assert seen["TooManyFailedTrials"] > studies / 100
    assert seen["several instances"] > seen["Synchronous"] / 4
    for mode in MODES:
        assert seen[mode] >= STUDIES / len(MODES)
        assert seen[f"{mode} changed"] > seen[mode] / 10
        # Promotion wants two values at a rung, so that a short study may end below r_max.
        assert seen[f"{mode} reached r_max"] > 0.8 * seen[mode]


@pytest.mark.parametrize("seed", range(4))
def test_the_same_seed_gives_the_same_result(seed: int) -> None:
    first, second = (Run(random_case(seed), kills=0.0, sample=0).result for _ in range(2))
    assert first == second
    assert [d.seconds for d in first.decisions] == [d.seconds for d in second.decisions]
