"""What to do with free slots, decided without holding up the event loop."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial

from hyperband.backends.kubernetes.workers import Workers
from hyperband.core.decisions import Decision
from hyperband.core.engine import Engine
from hyperband.core.records import Fit

log = logging.getLogger(__name__)


class Launcher:
    """Asks one study's engine, and has done elsewhere what its suggestions wait for.

    Args:
        uid: the study's.
        wake: called when a fit has ended.
    """

    def __init__(self, workers: Workers, uid: str, wake: Callable[[], None]) -> None:
        self._workers, self._uid, self._wake = workers, uid, wake
        self._fit: asyncio.Future[Fit] | None = None

    async def decide(self, engine: Engine, lingering: int) -> Decision | None:
        """What `Engine.launch` says, or None while a fit runs that it would have to make first.

        Meanwhile trials are promoted, which needs no fit, and pods' news are taken in. The engine
        is nobody else's until this returns. It is asked for no other fit before the one under way
        is taken in; it may be another engine by then, built from the same records.
        """
        self._take_in(engine)
        while self._fit is None and (fitting := engine.fitting(lingering)) is not None:
            self._fit = self._workers.fit(fitting)
            self._fit.add_done_callback(self._ended)
            self._take_in(engine)
        if not engine.starts(lingering):
            return engine.launch(lingering)
        if self._fit is not None:
            return None
        if engine.searcher.quick:
            return engine.launch(lingering)
        proposing = await self._workers.run(partial(engine.proposing, lingering))
        if proposing is not None:
            engine.proposed(await self._workers.propose(self._uid, proposing))
        return await self._workers.run(partial(engine.launch, lingering))

    def close(self) -> None:
        """Waits for no fit any more."""
        if self._fit is not None:
            self._fit.cancel()
            self._fit = None

    def _take_in(self, engine: Engine) -> None:
        if self._fit is not None and self._fit.done():
            ended, self._fit = self._fit, None
            if ended.cancelled():
                return
            fit = ended.result()
            if fit.error:
                log.warning(
                    "%s: its model could not be fitted to %d values, and goes on with what it had "
                    "before:\n%s",
                    *(engine.study.name, fit.values, fit.error),
                )
            engine.fitted(fit)

    def _ended(self, fit: asyncio.Future[Fit]) -> None:
        if not fit.cancelled():
            fit.exception()  # it is raised where the fit is taken in, if anybody still wants it
        self._wake()
