"""Looks at trials beside other work, without a cluster."""

import asyncio
from collections import Counter
from collections.abc import Callable

import pytest

from hyperband.backends.kubernetes.breath import Breath
from hyperband.backends.kubernetes.hands import HANDS, Hands
from hyperband.backends.kubernetes.looks import Looks


async def until(done: Callable[[], bool]) -> None:
    """Lets others run, for a bounded while.

    Raises:
        AssertionError: it does not come to it.
    """
    for _ in range(1_000):
        if done():
            return
        await asyncio.sleep(0)
    raise AssertionError("it does not come to it")


class Trials:
    """Looks that take as long as their doors are closed."""

    def __init__(self, *due: int) -> None:
        self.looks = Looks(self.look, due, Breath())
        self.begun: Counter[int] = Counter()
        self.ended: Counter[int] = Counter()
        self.doors: dict[int, asyncio.Event] = {}
        self.error: dict[int, Exception] = {}

    async def look(self, index: int) -> None:
        self.looks.due.discard(index)
        self.begun[index] += 1
        assert self.begun[index] == self.ended[index] + 1, "two looks at one trial"
        if index in self.doors:
            await self.doors[index].wait()
        self.ended[index] += 1
        if index in self.error:
            raise self.error[index]


async def test_news_of_a_trial_that_is_looked_at_are_looked_at_next() -> None:
    trials, rest = Trials(), asyncio.Event()
    trials.doors[1] = asyncio.Event()
    attending = asyncio.create_task(trials.looks.attend(rest.wait()))
    trials.looks.notice(1)
    await until(lambda: trials.begun[1] == 1)
    trials.looks.notice(1)
    await asyncio.sleep(0)
    trials.doors[1].set()
    await until(lambda: trials.ended[1] == 2)
    assert not attending.done()
    rest.set()
    await attending


async def test_all_that_are_due_are_looked_at_once_and_news_meanwhile() -> None:
    trials = Trials(*range(100))
    trials.doors[0] = asyncio.Event()
    looking = asyncio.create_task(trials.looks.at_all())
    await until(lambda: trials.begun[0] == 1)
    trials.looks.notice(200)
    await until(lambda: trials.ended[200] == 1)
    trials.doors[0].set()
    await looking
    assert all(trials.ended[index] == 1 for index in (*range(100), 200))


async def test_news_that_wait_for_a_hand_are_not_looked_at_beside_the_look_at_all() -> None:
    trials = Trials(*range(100))
    trials.doors = {index: asyncio.Event() for index in range(100)}
    looking = asyncio.create_task(trials.looks.at_all())
    await until(lambda: trials.begun.total() == HANDS)
    for index in range(HANDS, 100):
        trials.looks.notice(index)
    await until(lambda: trials.begun.total() == 2 * HANDS)
    for index in range(HANDS):  # the look at all comes to trials whose news wait for a hand
        trials.doors[index].set()
    await until(lambda: trials.begun[2 * HANDS + 1] == 1)
    for index in range(HANDS, 2 * HANDS):  # now there are hands for the news
        trials.doors[index].set()
    await until(lambda: trials.begun[2 * HANDS] == 1)
    for _ in range(20):
        await asyncio.sleep(0)
    for door in trials.doors.values():
        door.set()
    await looking
    assert trials.ended == dict.fromkeys(range(100), 1)


async def test_work_that_is_done_does_not_wait_for_news_that_nobody_has_begun_with() -> None:
    trials, rest = Trials(), asyncio.Event()
    trials.doors = {index: asyncio.Event() for index in range(HANDS)}
    attending = asyncio.create_task(trials.looks.attend(rest.wait()))
    for index in range(1000):
        trials.looks.notice(index)
    await until(lambda: trials.begun.total() == HANDS)
    rest.set()
    await asyncio.sleep(0)
    for door in trials.doors.values():
        door.set()
    await attending
    assert trials.ended.total() < 2 * HANDS
    assert all(trials.looks.waits(index) for index in range(2 * HANDS, 1000))
    assert trials.looks.left
    await trials.looks.at_all()
    assert trials.ended == dict.fromkeys(range(1000), 1)
    assert not trials.looks.left


async def test_what_there_was_no_time_for_comes_first_the_next_time() -> None:
    trials, order = Trials(*range(100)), list[int]()
    await trials.looks.at_all(lambda: sum(trials.ended.values()) >= 60)
    left = sorted(trials.looks.due)
    assert trials.looks.left and left and left == list(range(left[0], 100))
    trials.looks.due.update(range(10))
    looked = trials.look

    async def look(index: int) -> None:
        order.append(index)
        await looked(index)

    trials.looks._look = look
    await trials.looks.at_all()
    assert order == [*left, *range(10)]
    assert not trials.looks.left and not trials.looks.due


async def test_an_error_of_a_look_waits_for_the_work() -> None:
    trials, rest = Trials(), asyncio.Event()
    trials.error[1] = ValueError("one")
    attending = asyncio.create_task(trials.looks.attend(rest.wait()))
    trials.looks.notice(1)
    await until(lambda: trials.ended[1] == 1)
    for _ in range(20):
        await asyncio.sleep(0)
    assert not attending.done(), "it may be a write that is under way"
    trials.looks.notice(2)
    rest.set()
    with pytest.raises(ValueError, match="one"):
        await attending
    assert trials.begun[2] == 0, "nothing is begun after an error"


async def test_a_look_that_waited_for_a_hand_when_another_failed_is_looked_at_later() -> None:
    trials, rest = Trials(), asyncio.Event()
    trials.doors = {index: asyncio.Event() for index in range(HANDS)}
    trials.error[0] = ValueError("one")
    attending = asyncio.create_task(trials.looks.attend(rest.wait()))
    for index in range(HANDS + 1):
        trials.looks.notice(index)
    await until(lambda: trials.begun.total() == HANDS)
    rest.set()
    for door in trials.doors.values():
        door.set()
    with pytest.raises(ValueError, match="one"):
        await attending
    assert trials.begun[HANDS] == 0
    await trials.looks.at_all()
    assert trials.ended[HANDS] == 1


async def test_what_was_to_be_begun_when_another_failed_is_due() -> None:
    trials = Trials()
    trials.error[0] = ValueError("one")
    with pytest.raises(ValueError, match="one"):
        async with Hands(1) as hands:
            await trials.looks.begin(hands, 0)
            await trials.looks.begin(hands, 1)
    await trials.looks.at_all()
    assert trials.ended[1] == 1


async def test_a_cancellation_ends_work_and_looks_also_after_an_error() -> None:
    trials = Trials()
    trials.error[1], trials.doors[2] = ValueError("one"), asyncio.Event()
    work = asyncio.ensure_future(asyncio.Event().wait())

    async def wait() -> None:
        await work

    attending = asyncio.create_task(trials.looks.attend(wait()))
    trials.looks.notice(1)
    trials.looks.notice(2)
    await until(lambda: trials.ended[1] == 1 and trials.begun[2] == 1)
    attending.cancel()
    await until(attending.done)
    assert attending.cancelled() and work.cancelled()
    assert trials.ended[2] == 0
