"""A share of `make chaos`: the walk with crashes, and some of the random schedules."""

import pytest

from tests.chaos.faults import AtRandom, Fault
from tests.chaos.schedules import MODES, random_schedule
from tests.chaos.simulated import run, simulate
from tests.chaos.walk import ENDINGS, walk, write_points

SCHEDULES, CHUNK = 50, 10
EVERY = 5  # of the write points of lives that take longer: `make chaos` goes through all


@pytest.mark.parametrize("fault", [Fault.KILL_BEFORE, Fault.KILL_AFTER], ids=lambda f: f.name)
@pytest.mark.parametrize("mode", MODES)
def test_a_crash_at_every_write(mode: str, fault: Fault) -> None:
    points = write_points(mode)
    kinds = {(point.verb, point.resource) for point in points}
    assert {("create", "pods"), ("update", "hyperbandtrials/status")} <= kinds
    for point in range(len(points)):
        _walk(mode, point, fault)


@pytest.mark.parametrize("fault", [Fault.KILL_BEFORE, Fault.KILL_AFTER], ids=lambda f: f.name)
@pytest.mark.parametrize("life", ENDINGS)
def test_a_crash_while_a_study_ends_and_is_cleared_away(life: str, fault: Fault) -> None:
    points = write_points(life)
    kinds = {(point.verb, point.resource) for point in points}
    assert {("create", "hyperbandarchives"), ("delete", "hyperbandtrials")} <= kinds
    assert {("delete", "pods"), ("delete", "hyperbandstudies")} <= kinds
    for point in range(fault is Fault.KILL_AFTER, len(points), EVERY):
        _walk(life, point, fault)


def _walk(life: str, point: int, fault: Fault) -> None:
    try:
        walk(life, point, fault)
    except Exception as error:
        again = f"make chaos POINT={life}:{point}:{fault.name}"
        raise AssertionError(
            f"{write_points(life)[point]}: {error!r}; replay it: {again}"
        ) from error


@pytest.mark.parametrize("first", range(0, SCHEDULES, CHUNK))
def test_random_schedules(first: int) -> None:
    for seed in range(first, first + CHUNK):
        try:
            simulate(random_schedule(seed))
        except Exception as error:
            again = f"make chaos SEED={seed}"
            raise AssertionError(f"seed {seed}: {error!r}; replay it: {again}") from error


def test_the_schedules_have_every_fault() -> None:
    struck: set[Fault] = set()
    for seed in range(12):
        schedule = random_schedule(seed)
        run(schedule)
        assert isinstance(schedule.faults, AtRandom)
        struck |= set(schedule.faults.struck)
    assert struck == set(Fault)


def test_a_seed_is_a_schedule() -> None:
    first, again = (run(random_schedule(3)) for _ in range(2))
    assert first.trials == again.trials
    assert first.server.revision == again.server.revision
