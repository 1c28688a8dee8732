"""How Leases are shared: pure decisions, from any start and in any order."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from hyperband.backends.kubernetes.lease import Place, Terms
from hyperband.backends.kubernetes.shares import is_given, pause, wish

PROCESSES = "wxyz"
Holders = dict[Place, str]


def places(*holders: str) -> Holders:
    """A Lease each, in the order of their names."""
    return {Place(chr(ord("a") + n), "l"): holder for n, holder in enumerate(holders)}


def asked(me: str, *holders: str) -> str:
    """The namespace that is asked for."""
    place = wish(me, places(*holders), {})
    return "" if place is None else place.namespace


def test_who_has_two_fewer_than_another_asks_for_one() -> None:
    assert asked("y", "x", "x") == "a"
    assert asked("y", "x", "y", "x", "x") == "a"
    assert asked("y", "x", "y", "x") == "", "one more is no reason"
    assert asked("z", "y", "x", "x", "x", "y") == "b", "who has the most is asked"
    assert asked("x", "x", "x", "") == "", "what is free is taken without asking"


def test_one_lease_is_asked_for_at_a_time_and_by_one_process() -> None:
    holders = places("x", "x", "x", "x")
    first, second, *_ = holders
    assert wish("y", holders, {first: "z"}) == second
    assert wish("y", holders, {second: "y"}) is None


def test_what_is_given_counts_as_the_others_already() -> None:
    assert is_given("x", "y", places("x", "x", "x", "y"))
    assert not is_given("x", "y", places("x", "x", "y", "y"))
    assert not is_given("x", "forger", places("x")), "the last one is never given"


def test_who_has_more_waits_longer_but_not_for_ever() -> None:
    terms = Terms()
    assert [pause(held, terms) for held in range(4)] == [0.0, 1.0, 2.0, 3.0]
    assert pause(1000, terms) == 5.0


@given(
    st.lists(st.sampled_from(PROCESSES), min_size=1, max_size=20),
    st.integers(1, len(PROCESSES)),
    st.randoms(use_true_random=False),
)
def test_it_comes_to_rest_with_nobody_having_two_more(
    start: list[str], number: int, dice: st.randoms
) -> None:
    """Whatever the beginning, and whoever comes first; what the dead had is gone already."""
    alive = PROCESSES[:number]
    holders = places(*(name if name in alive else alive[0] for name in start))
    wanters: dict[Place, str] = {}
    moves = 0
    while True:
        wishes = [(me, place) for me in alive if (place := wish(me, holders, wanters))]
        if not wishes and not wanters:
            break
        if wishes and (not wanters or dice.random() < 0.5):
            me, place = dice.choice(wishes)
            wanters[place] = me
            continue
        place = dice.choice(sorted(wanters, key=str))
        wanter = wanters.pop(place)  # its holder answers
        if is_given(holders[place], wanter, holders):
            holders[place] = wanter
            moves += 1
            assert moves <= len(holders), "no Lease goes around in circles"
    counts = Counter(holders.values())
    have = [counts[name] for name in alive]
    assert max(have) - min(have) < 2
