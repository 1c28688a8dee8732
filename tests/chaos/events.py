"""Events of a watch that come late, twice, in another order, or not at all."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable

from tests.chaos.faults import Fault, Faults

EXPIRED = {"kind": "Status", "code": 410, "reason": "Expired", "message": "by chance"}


async def troubled(
    lines: AsyncIterator[bytes | None],
    faults: Faults,
    dice: random.Random,
    late: float,
    forget: Callable[[], None],
) -> AsyncIterator[bytes]:
    """The lines of a watch as they arrive.

    Args:
        lines: each with one event; None where none has come for a while.
        late: seconds that a late event, and all behind it, is held up, at the most.
        forget: called where events are lost: the next watch from before them is to be told 410.
    """
    held: bytes | None = None
    async for line in lines:
        if line is not None:
            match faults.at_event():
                case Fault.LATE:
                    await asyncio.sleep(dice.uniform(0.0, late))
                case Fault.TWICE:
                    yield line
                case Fault.SWAPPED if held is None:
                    held = line
                    continue
                case Fault.MISSED:
                    forget()
                    return
                case Fault.EXPIRED:
                    forget()
                    yield json.dumps({"type": "ERROR", "object": EXPIRED}).encode() + b"\n"
                    return
            yield line
        if held is not None:
            yield held
            held = None
    if held is not None:
        yield held
