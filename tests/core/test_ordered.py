"""Keys in their order, against one sorted list."""

from bisect import bisect_left, insort

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperband.core import ordered
from hyperband.core.ordered import Ordered

KEYS = st.tuples(st.sampled_from([0.0, 0.25, 0.5]), st.integers(0, 60))


@given(st.lists(st.tuples(KEYS, st.booleans()), max_size=200), st.sampled_from([1, 2, 3, 1024]))
def test_it_is_as_one_sorted_list(changes: list[tuple[tuple[float, int], bool]], most: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ordered, "MOST", most)
        keys, plain = Ordered(), list[tuple[float, int]]()
        for key, takes in changes:
            place = bisect_left(plain, key)
            there = key in plain
            assert keys.find(key) == (place, there)
            if there and takes:
                keys.remove(key)
                del plain[place]
            elif not there:
                keys.add(key)
                insort(plain, key)
            assert len(keys) == len(plain)
            assert keys.first == (plain[0] if plain else None)
        assert [keys.find(key) for key in plain] == [(k, True) for k in range(len(plain))]


def test_a_part_is_never_long() -> None:
    """What is moved at a change is bounded, whatever the order of the keys."""
    up, down = Ordered(), Ordered()
    for index in range(5_000):
        up.add((float(index), index))
        down.add((float(-index), index))
    for each in (up, down):
        assert max(map(len, each._parts)) <= ordered.MOST
        assert len(each._parts) <= 1 + 2 * 5_000 // ordered.MOST
    while (first := up.first) is not None:
        up.remove(first)
    assert (len(up), up._parts, up._least) == (0, [[]], [])
