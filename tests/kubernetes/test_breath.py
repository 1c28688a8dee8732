"""Many who take steps at once, and the others on their event loop."""

import asyncio

from hyperband.backends.kubernetes.breath import Breath
from hyperband.backends.kubernetes.hands import for_each

STEPS = 5


async def test_others_have_a_turn_after_so_many_steps_of_all_together() -> None:
    breath, made, between = Breath(STEPS), 0, []

    async def step(_: int) -> None:
        nonlocal made
        await breath.take()
        made += 1

    async def others() -> None:
        before = 0
        while made < 200:
            between.append(made - before)
            before = made
            await asyncio.sleep(0)

    await asyncio.gather(others(), *(for_each(range(50), step, hands=8) for _ in range(4)))
    assert made == 200
    assert max(between) == STEPS


async def test_steps_are_made_in_the_order_in_which_they_were_asked_for() -> None:
    breath, order = Breath(STEPS), list[int]()

    async def step(index: int) -> None:
        await breath.take()
        order.append(index)

    await asyncio.gather(*(step(index) for index in range(20)))
    assert order == list(range(20))


async def test_whoever_gives_up_takes_nobodys_turn() -> None:
    breath = Breath(1)
    first, given_up, next_one = (asyncio.create_task(breath.take()) for _ in range(3))
    await first
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    async with asyncio.timeout(1):
        await next_one
    assert given_up.cancelled()
