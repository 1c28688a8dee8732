"""Ladders, limits and rankings, against numpy and hand-written tables."""

from fractions import Fraction

import numpy as np
import pytest

from hyperband.core.errors import InvalidStudyError
from hyperband.core.records import Goal, Objective, Resource, RungValue, Suggestion, Trial
from hyperband.core.records import TrialState as State
from hyperband.core.rungs import Ladder, Rung, RungTable, Standing, Total, geometric_levels
from tests.core.engines import study


def ladder_of(r_min: float, r_max: float, eta: float, integer: bool = True) -> Ladder:
    return Ladder(Resource("epochs", r_min, r_max, integer), eta)


LADDERS = {
    "81 by 3": (1, 81, 3, True, (1, 3, 9, 27, 81)),
    "3^5 exactly": (1, 243, 3, True, (1, 3, 9, 27, 81, 243)),
    "1000/10^3 exactly": (1, 1000, 10, True, (1, 10, 100, 1000)),
    "r_max no power of 4": (1, 27, 4, True, (1, 4, 16, 27)),
    "r_max no power, large": (1, 27 * 7, 4, True, (1, 4, 16, 64, 189)),
    "LCBench": (1, 50, 3, True, (1, 3, 9, 27, 50)),
    "r_min above 1": (5, 100, 3, True, (5, 15, 45, 100)),
    "decimal fractions": (0.1, 1.0, 3, False, (0.1, 0.3, 0.9, 1.0)),
    "floats end at r_max once": (0.1, 0.9, 3, False, (0.1, 0.3, 0.9)),
    "floats ten times": (0.001, 1.0, 10, False, (0.001, 0.01, 0.1, 1.0)),
    "eta 2.5": (1, 100, 2.5, False, (1.0, 2.5, 6.25, 15.625, 39.0625, 97.65625, 100.0)),
    "eta 2.5 rounded": (2, 100, 2.5, True, (2, 5, 12, 31, 78, 100)),
    "duplicates dropped": (1, 8, 1.25, True, (1, 2, 3, 4, 5, 6, 7, 8)),
    "r_max not twice by rounding": (1, 16, 2.5, True, (1, 2, 6, 16)),
    "one level": (9, 9, 3, True, (9,)),
}


@pytest.mark.parametrize("name", LADDERS)
def test_levels(name: str) -> None:
    r_min, r_max, eta, integer, expected = LADDERS[name]
    levels = geometric_levels(Resource("epochs", r_min, r_max, integer), eta)
    assert levels == expected
    assert {type(level) for level in levels} == {int if integer else float}


def test_without_early_stopping_there_is_r_max_alone() -> None:
    ladder = Ladder.of(study(mode="None"))
    assert (ladder.levels, ladder.top, ladder.first(0)) == ((9,), 0, 0)
    assert Ladder.of(study(mode="Synchronous")).levels == (1, 3, 9)


def test_first_level_of_each_bracket() -> None:
    ladder = ladder_of(1, 81, 3)
    assert [ladder[ladder.first(s)] for s in range(5)] == [81, 27, 9, 3, 1]
    assert ladder.top == 4


@pytest.mark.parametrize(
    ("r_min", "r_max", "eta", "integer"),
    [(1, 81, 3, True), (1, 100, 4, True), (0.1, 1.0, 2.5, False), (1, 50, 2, True)],
)
def test_limit_is_the_floor_of_the_linear_rank(
    r_min: float, r_max: float, eta: float, integer: bool
) -> None:
    ladder = ladder_of(r_min, r_max, eta, integer)
    for level in range(ladder.top):
        quotient = Fraction(repr(ladder[level])) / Fraction(repr(ladder[level + 1]))
        for n in range(1, 400):
            expected = int(1 + (n - 1) * quotient)  # int() of a positive fraction is its floor
            assert ladder.limit(level, n) == expected, (level, n)


def test_limit_by_hand() -> None:
    ladder = ladder_of(1, 81, 3)
    assert [ladder.limit(0, n) for n in range(1, 9)] == [1, 1, 1, 2, 2, 2, 3, 3]
    assert ladder.limit(ladder.top, 7) == 7
    assert ladder_of(1, 50, 3).limit(3, 101) == 55  # next to r_max: 27/50, not 1/3


@pytest.mark.parametrize("goal", list(Goal))
def test_good_enough_is_numpys_linear_quantile(goal: Goal) -> None:
    """value <= quantile(values, q, method="linear") if and only if rank <= limit."""
    random = np.random.default_rng(7)
    objective = Objective("loss", goal)
    decided: set[bool] = set()
    for eta, r_max in ((2, 50), (3, 81), (2.5, 90), (4, 27)):
        ladder = ladder_of(1, r_max, eta)
        for n in (1, 2, 3, 4, 7, 10, 25, 60):
            values = random.permutation(n) + random.random(n) / 2  # at least 1/2 apart: no ties
            losses = [objective.loss(float(value)) for value in values]
            for level in range(ladder.top):
                rung = Rung()
                for index, loss in enumerate(losses):
                    rung.add(loss, index)
                quantile = np.quantile(losses, ladder[level] / ladder[level + 1], method="linear")
                for index, loss in enumerate(losses):
                    standing = rung.standing((loss, index), ladder, level)
                    by_numpy = bool(loss <= quantile + 1e-9)  # its arithmetic is not exact
                    assert standing.good_enough is by_numpy, (eta, n, level, index)
                    decided.add(by_numpy)
    assert decided == {True, False}


def test_standing_before_and_after_adding_is_the_same() -> None:
    ladder = ladder_of(1, 27, 3)
    rung = Rung()
    for index, loss in enumerate((0.5, 0.3, 0.9)):
        before = rung.standing((loss, index), ladder, 0)
        rung.add(loss, index)
        assert rung.standing((loss, index), ladder, 0) == before
    assert rung.standing((0.4, 7), ladder, 0) == Standing(rank=2, values=4, limit=2)


def test_ties_are_broken_by_index() -> None:
    ladder, rung = ladder_of(1, 27, 3), Rung()
    for index in (5, 2, 9):
        rung.add(0.1, index)
        rung.pause(0.1, index)
    ranks = {index: rung.standing((0.1, index), ladder, 0).rank for index in (2, 5, 9)}
    assert ranks == {2: 1, 5: 2, 9: 3}
    assert rung.best_paused == (0.1, 2)
    rung.resume(0.1, 2)
    assert rung.best_paused == (0.1, 5)


def trial(index: int, bracket: int, state: State, *values: float) -> Trial:
    first = 2 - bracket  # of the three levels 1, 3, 9
    rungs = tuple(
        RungValue(first + i, value, 10 * index + i, 3.0 ** (first + i))
        for i, value in enumerate(values)
    )
    return Trial(index, Suggestion({}, "test"), bracket, state, target=2, rungs=rungs)


def by_bracket(index: int, bracket: int) -> int:
    return bracket


def test_table_follows_records_and_keeps_brackets_apart() -> None:
    table = RungTable(Objective("accuracy", Goal.MAXIMIZE), ladder_of(1, 9, 3), by_bracket)
    paused = trial(0, 2, State.PAUSED, 0.7)
    table.record(None, paused)
    table.record(None, trial(1, 2, State.RUNNING, 0.9))
    table.record(None, trial(2, 1, State.PAUSED, 0.8))
    assert len(table.rung(2, 0)) == 2
    assert table.total(2, 0) == Total(values=2, paused=1, best=-0.9)
    assert table.rung(2, 0).best_paused == (-0.7, 0)
    assert len(table.rung(2, 1)) == 0
    assert table.rung(1, 1).best_paused == (-0.8, 2)
    assert list(table.levels(1)) == [1, 2]

    table.record(paused, trial(0, 2, State.PENDING, 0.7))
    assert table.rung(2, 0).paused == 0
    assert len(table.rung(2, 0)) == 2
    assert table.total(2, 0) == Total(values=2, paused=0, best=-0.9)
    table.record(trial(0, 2, State.PENDING, 0.7), trial(0, 2, State.PAUSED, 0.7, 0.75))
    assert table.rung(2, 1).best_paused == (-0.75, 0)
    assert table.rung(2, 0).best_paused is None


def test_table_ranks_inside_groups_and_sums_over_them() -> None:
    table = RungTable(Objective("loss"), ladder_of(1, 9, 3), lambda index, bracket: index // 2)
    for index, value in enumerate((0.4, 0.3, 0.2, 0.1)):
        table.record(None, trial(index, 2, State.PAUSED, value))
    assert table.rung(0, 0).best_paused == (0.3, 1)
    assert table.rung(1, 0).best_paused == (0.1, 3)
    late = trial(5, 2, State.RUNNING)
    assert table.standing(late, 0, 0.0) == Standing(rank=1, values=1, limit=1)
    assert table.total(2, 0) == Total(values=4, paused=4, best=0.1)


def test_table_takes_the_same_record_twice() -> None:
    table = RungTable(Objective("loss"), ladder_of(1, 9, 3), by_bracket)
    record = trial(0, 2, State.PAUSED, 0.7)
    table.record(None, record)
    table.record(record, record)
    assert (len(table.rung(2, 0)), table.rung(2, 0).paused) == (1, 1)


@pytest.mark.parametrize(("eta", "r_min"), [(1.0, 1.0), (0.5, 1.0), (3.0, 0.0), (3.0, -1.0)])
def test_levels_that_would_never_end_are_refused(eta: float, r_min: float) -> None:
    with pytest.raises(InvalidStudyError, match="give an eta of at least 2"):
        geometric_levels(Resource("epochs", r_min, 9.0, integer=False), eta)
