"""Standings told afterwards are those that decisions were made from."""

from itertools import count

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hyperband.core.records import Resource
from hyperband.core.rungs import Ladder, Rung
from hyperband.core.standings import History, Recorded, first_good, standing_at, values_needed

LADDER = Ladder(Resource("epochs", 1, 27), 3)


def limit(n: int) -> int:
    return LADDER.limit(0, n)


def recorded(*losses: float) -> list[Recorded]:
    return [Recorded(10 * i, loss, i) for i, loss in enumerate(losses)]


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0, 1.5]), min_size=1, max_size=30))
def test_a_standing_is_what_the_rung_gave_when_the_value_came(losses: list[float]) -> None:
    rung, values = Rung(), recorded(*losses)
    for value in values:
        then = rung.standing((value.loss, value.index), LADDER, 0)
        assert standing_at(values, value, value.sequence, limit) == then
        rung.add(value.loss, value.index)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.integers(0, 19), st.data())
def test_the_first_moment_is_the_first_of_all(
    losses: list[float], place: int, data: st.DataObject
) -> None:
    values = recorded(*losses)
    own = values[place % len(values)]
    before = data.draw(st.integers(0, 10 * len(values) + 5))
    moments = [each.sequence for each in values if own.sequence <= each.sequence < before]
    good = (
        (moment, standing)
        for moment in moments
        if (standing := standing_at(values, own, moment, limit)).good_enough
        and standing.values >= 2
    )
    assert first_good(values, own, before, limit, least=2) == next(good, None)


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0, 1.5]), min_size=1, max_size=30))
def test_a_history_answers_as_the_functions_do(losses: list[float]) -> None:
    values = recorded(*losses)
    history, limits = History(values[::-1]), np.array([limit(n + 1) for n in range(40)])
    for own in values:
        for moment in (own.sequence, 10 * len(values)):
            told = history.standing_at(own, moment, limit)
            assert told == standing_at(values, own, moment, limit)
        for least in (1, 2):
            first = first_good(values, own, 1000, limit, least)
            assert history.first_good(own, limits, least) == first


def test_values_are_given_in_any_order() -> None:
    values = recorded(0.3, 0.1, 0.2, 0.4)
    found = first_good(values[::-1], values[2], 1000, limit, least=2)
    assert found == (30, standing_at(values[::-1], values[2], 30, limit))
    assert found[1].rank == found[1].limit == 2


def test_how_many_values_a_rank_needs() -> None:
    assert [limit(n) for n in range(1, 8)] == [1, 1, 1, 2, 2, 2, 3]
    assert values_needed(2, 2, limit, 100) == 4
    assert values_needed(1, 5, limit, 100) == 5
    assert values_needed(50, 50, limit, 60) is None
    assert next(n for n in count(1) if limit(n) >= 3) == values_needed(3, 3, limit, 100)
