"""Several things at once: how many, what an error stops, and what a cancellation does."""

import asyncio

import pytest

from hyperband.backends.kubernetes.hands import Hands, for_each
from hyperband.backends.kubernetes.pace import Pace


class Work:
    """Things that are under way until they are let go."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.ended: list[int] = []
        self.most = 0
        self._doors: dict[int, asyncio.Event] = {}

    async def do(self, item: int) -> None:
        self.begun.append(item)
        self.most = max(self.most, len(self.begun) - len(self.ended))
        try:
            await self._doors.setdefault(item, asyncio.Event()).wait()
            if item < 0:
                raise ValueError(str(item))
        finally:
            self.ended.append(item)

    async def let_go(self, *items: int) -> None:
        for item in items:
            self._doors.setdefault(item, asyncio.Event()).set()
        for _ in range(5):
            await asyncio.sleep(0)


async def test_all_is_done_in_order_by_so_many_hands() -> None:
    work = Work()
    task = asyncio.create_task(for_each(range(5), work.do, 2))
    await work.let_go()
    assert work.begun == [0, 1]
    await work.let_go(1)
    assert work.begun == [0, 1, 2]
    await work.let_go(0, 2, 3, 4)
    await task
    assert sorted(work.ended) == [0, 1, 2, 3, 4]
    assert work.most == 2


async def test_after_an_error_what_was_begun_is_ended_and_nothing_else_begun() -> None:
    work = Work()
    task = asyncio.create_task(for_each([0, -1, 2, 3], work.do, 2))
    await work.let_go(-1)
    assert not task.done(), "a write that is under way is waited for"
    await work.let_go(0)
    with pytest.raises(ValueError, match="-1"):
        await task
    assert work.begun == [0, -1]


async def test_a_cancellation_reaches_what_is_under_way() -> None:
    work = Work()
    task = asyncio.create_task(for_each(range(3), work.do, 2))
    await work.let_go()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (work.begun, sorted(work.ended)) == ([0, 1], [0, 1])


async def test_hands_wait_for_all_and_tell_of_the_first_error() -> None:
    work = Work()

    async def give() -> None:
        async with Hands(2) as hands:
            for item in (0, -1, 2):
                if hands.failed:
                    return
                await hands.begin(work.do(item))

    task = asyncio.create_task(give())
    await work.let_go()
    assert work.begun == [0, -1], "the third waits for a free hand"
    await work.let_go(-1)
    await work.let_go(0, 2)
    with pytest.raises(ValueError, match="-1"):
        await task
    assert sorted(work.begun) == sorted(work.ended)


async def test_cancelled_hands_cancel_their_work() -> None:
    work = Work()

    async def give() -> None:
        async with Hands(2) as hands:
            await hands.begin(work.do(0))
            await asyncio.Event().wait()

    task = asyncio.create_task(give())
    await work.let_go()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert work.ended == [0]


async def test_a_cancellation_is_not_hidden_by_an_error() -> None:
    work = Work()

    async def give() -> None:
        async with Hands(2) as hands:
            await hands.begin(work.do(-1))
            await hands.begin(work.do(0))
            await asyncio.Event().wait()

    task = asyncio.create_task(give())
    await work.let_go(-1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert work.ended == [-1, 0]


async def test_after_an_error_nothing_is_begun_that_waited_for_a_hand() -> None:
    work = Work()

    async def give() -> None:
        async with Hands(1) as hands:
            await hands.begin(work.do(-1))
            await hands.begin(work.do(0))

    task = asyncio.create_task(give())
    await work.let_go(-1)
    with pytest.raises(ValueError, match="-1"):
        await task
    assert work.begun == [-1]


def test_moments_are_given_out_at_a_rate() -> None:
    pace = Pace(4.0)
    assert [pace.reserve(100.0) for _ in range(3)] == [100.0, 100.25, 100.5]
    assert [pace.reserve(200.0) for _ in range(2)] == [200.0, 200.25]


async def test_who_is_late_for_a_moment_does_not_go_beside_others() -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    pace = Pace(4.0, sleep)
    for _ in range(4):
        async with pace.gate():
            pass
    assert waits == pytest.approx([0.25, 0.5, 0.75], abs=0.1)


async def test_what_is_slow_gets_no_more_than_a_few_at_once() -> None:
    pace, work = Pace(1e9), Work()

    async def pass_(item: int) -> None:
        async with pace.gate():
            await work.do(item)

    tasks = [asyncio.create_task(pass_(item)) for item in range(10)]
    await work.let_go()
    assert work.begun == [0, 1, 2, 3]
    await work.let_go(*range(10))
    await asyncio.gather(*tasks)
    assert sorted(work.ended) == list(range(10))
