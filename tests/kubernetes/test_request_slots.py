"""Which of the requests that wait is next."""

import asyncio

import pytest

from hyperband.backends.kubernetes.request_slots import Slots, urgently


class Users:
    """Tasks that hold a slot until they are let go."""

    def __init__(self, count: int) -> None:
        self.slots = Slots(count)
        self.order: list[str] = []
        self._doors: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def begin(self, *names: str) -> None:
        """Those whose name begins with u are urgent."""
        for name in names:
            self._doors[name] = asyncio.Event()
            self._tasks[name] = asyncio.create_task(self._use(name))
            await asyncio.sleep(0)

    async def end(self, *names: str) -> None:
        for name in names:
            self._doors[name].set()
            await self._tasks[name]
            await asyncio.sleep(0)

    async def cancel(self, name: str) -> None:
        self._tasks[name].cancel()
        with pytest.raises(asyncio.CancelledError):
            await self._tasks[name]

    async def _use(self, name: str) -> None:
        if name.startswith("u"):
            with urgently():
                await self._hold(name)
        else:
            await self._hold(name)

    async def _hold(self, name: str) -> None:
        async with self.slots.one():
            self.order.append(name)
            await self._doors[name].wait()


async def test_so_many_at_once_and_what_is_urgent_before_others() -> None:
    users = Users(2)
    await users.begin("a", "b", "c", "d", "u1")
    assert users.order == ["a", "b"]
    await users.end("a")
    assert users.order == ["a", "b", "u1"]
    await users.end("b", "u1", "c", "d")
    assert users.order == ["a", "b", "u1", "c", "d"]
    await users.begin("e", "f", "g")
    assert users.order[-2:] == ["e", "f"], "all slots are free again, and no more than that"
    await users.end("e", "f", "g")


async def test_others_have_one_slot_of_four_whatever_is_urgent() -> None:
    users = Users(1)
    await users.begin("a", "b", "c", *(f"u{n}" for n in range(6)))
    for name in ("a", "u0", "u1", "u2", "b", "u3", "u4", "u5", "c"):
        assert users.order[-1] == name
        await users.end(name)


async def test_who_is_cancelled_keeps_no_slot() -> None:
    users = Users(1)
    await users.begin("a", "b", "c")
    await users.cancel("b")
    await users.end("a", "c")
    await users.begin("d", "e", "f")
    users._doors["d"].set()
    await asyncio.sleep(0)  # the slot goes to e, which is cancelled before it has heard of it
    await users.cancel("e")
    assert users.order == ["a", "c", "d", "f"]
    await users.end("f")
