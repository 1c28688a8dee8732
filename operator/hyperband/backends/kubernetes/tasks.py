"""What is done with asyncio's tasks."""

import asyncio
from collections.abc import Coroutine
from typing import Any


def begin(
    work: Coroutine[Any, Any, None], name: str, scope: str | None = None
) -> asyncio.Task[None]:
    """A task that is named after what it does and, if that is one of several, the namespace."""
    return asyncio.create_task(work, name=name if scope is None else f"{name}-{scope}")


async def cancel(*tasks: asyncio.Task[Any]) -> None:
    """Ends them, and waits for that."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def either(task: asyncio.Future[Any], event: asyncio.Event) -> None:
    """Waits until the one is done or the other is set."""
    waiting = asyncio.create_task(event.wait())
    try:
        await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
    finally:
        await cancel(waiting)
