"""1,000 random studies with injected faults; the invariants hold after every event.

Each study runs twice: undisturbed, and with the operator killed again and again. Both runs must
take the same decisions. Replay a failing one alone with

    HYPERBAND_SIMULATOR_SEED=123 pytest tests/simulator/test_invariants.py
"""

import os
from collections import Counter
from itertools import pairwise

import pytest

from hyperband.backends.simulator.simulation import Result, Simulation
from hyperband.core.decisions import Action, Reason
from hyperband.core.schedulers import SCHEDULERS
from hyperband.core.searchers import SEARCHERS
from tests.simulator.invariants import Invariants
from tests.simulator.random_studies import Case, random_case

STUDIES, CHUNK = 1000, 50
REPLAY = os.environ.get("HYPERBAND_SIMULATOR_SEED")
CHUNKS = [range(first, first + CHUNK) for first in range(0, STUDIES, CHUNK)]
if REPLAY:
    CHUNKS = [range(int(REPLAY), int(REPLAY) + 1)]

seen: Counter[Action | Reason | str] = Counter()  # over all chunks of this process


def simulate(case: Case, kills: float, sample: int) -> tuple[Result, Invariants, int]:
    """One run under all checks: its result, its observer, how often the operator was killed."""
    invariants = Invariants(case.study, case.ladder.levels, sample)
    simulation = Simulation(
        case.study, case.benchmark, case.faults, kills=kills, observer=invariants
    )
    result = simulation.run()
    return result, invariants, simulation.deaths


def check_incumbent(case: Case, result: Result) -> None:
    """It only ever gets better, and ends with no worse than the best value at a rung."""
    loss = case.study.objective.loss
    seconds = [second for second, _ in result.incumbent]
    losses = [loss(value) for _, value in result.incumbent]
    assert seconds == sorted(seconds)
    assert all(later < earlier for earlier, later in pairwise(losses))
    assert losses[-1] <= min(loss(v.value) for trial in result.trials for v in trial.rungs)


def check(seed: int) -> None:
    """One study, undisturbed and killed."""
    case = random_case(seed)
    result, invariants, _ = simulate(case, kills=0.0, sample=150)
    assert result.finish is not None
    reached = invariants.finished(result.finish.reason)
    assert 0 < result.utilization <= 1 + 1e-9
    check_incumbent(case, result)
    killed, again, deaths = simulate(case, kills=0.05, sample=0)
    assert again.records == invariants.records
    assert killed == result
    seen.update(invariants.seen)
    seen["deaths"] += deaths
    seen.update([result.finish.reason, "reached r_max" if reached else "stuck"])
    seen[f"{case.study.mode} with {case.study.searcher}"] += 1


@pytest.mark.parametrize("seeds", CHUNKS, ids=lambda r: f"{r.start}-{r.stop - 1}")
def test_invariants(seeds: range) -> None:
    for seed in seeds:
        try:
            check(seed)
        except Exception as error:
            again = f"replay it with HYPERBAND_SIMULATOR_SEED={seed}"
            raise AssertionError(f"study {seed}: {error!r}; {again}") from error


@pytest.mark.skipif(bool(REPLAY), reason="needs all studies")
def test_the_studies_saw_everything() -> None:
    """The test above is not vacuous: every decision happens, and most studies reach r_max."""
    if not seen:
        pytest.skip("runs after test_invariants, in the same process")
    studies = seen["reached r_max"] + seen["stuck"]
    assert set(Action) | set(Reason) - {Reason.SUSPENDED} <= set(seen)
    assert {f"{mode} with {searcher}" for mode in SCHEDULERS for searcher in SEARCHERS} <= set(seen)
    assert seen["deaths"] > 5 * studies
    assert seen["Exhausted"] > studies / 2
    assert seen["TooManyFailedTrials"] > studies / 100
    # Promotion wants two values at a rung, so that a short study may end below r_max.
    assert seen["reached r_max"] > 0.8 * studies


@pytest.mark.parametrize("seed", range(4))
def test_the_same_seed_gives_the_same_result(seed: int) -> None:
    first, second = (simulate(random_case(seed), kills=0.0, sample=0)[0] for _ in range(2))
    assert first == second
    assert [d.seconds for d in first.decisions] == [d.seconds for d in second.decisions]
