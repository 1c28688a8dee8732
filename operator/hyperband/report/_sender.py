"""The background thread that sends the newest reports, so that training never waits for them."""

import random
import threading
import time
from collections.abc import Callable, Mapping

from hyperband.report._history import History
from hyperband.report._log import say
from hyperband.report._outbox import Delivered, Failed, Outbox, Outcome

Transport = Callable[[str], Outcome]


class Sender:
    """Keeps the history of this attempt and sends it.

    Args:
        transport: sends the annotation's text, within seconds; may block.
        interval: seconds between sends that are not urgent.
        clock: monotonic, in seconds.
        jitter: gives numbers in [0, 1).
    """

    def __init__(
        self,
        history: History,
        transport: Transport,
        interval: float,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._history = history
        self._transport = transport
        self._outbox = Outbox(interval, jitter)
        self._clock = clock
        self._changed = threading.Condition()
        self._last_problem: str | None = None
        self.problem: str | None = None  # with the last send; None if there was none
        # A daemon, as it must not keep a finished script alive; flush() is called at exit.
        self._thread = threading.Thread(target=self._run, name="hyperband-report", daemon=True)
        self._thread.start()

    def add(self, report: Mapping[str, float]) -> None:
        """Takes the report on, without waiting."""
        with self._changed:
            before = self._history.shortened
            self._outbox.offer(urgent=self._history.add(report))
            self._changed.notify_all()
        if self._history.shortened and not before:
            say("the reports are too large: of older ones only the objective is kept")

    def complain(self, entry: str) -> None:
        """Takes on something that is no report, as JSON; only the first one is sent."""
        with self._changed:
            if self._history.complain(entry):
                self._outbox.offer(urgent=False)
                self._changed.notify_all()

    @property
    def settled(self) -> bool:
        """Whether the API server has all, or will not take it as long as nobody mends something."""
        with self._changed:
            return self._outbox.settled

    def flush(self, timeout: float) -> bool:
        """Sends what is not sent yet, waiting at most `timeout` seconds.

        Returns:
            Whether the API server has all reports.
        """
        with self._changed:
            if not self._outbox.delivered:
                self._outbox.hurry()
                self._changed.notify_all()
            self._changed.wait_for(lambda: self._outbox.settled, timeout)
            return self._outbox.delivered

    def _run(self) -> None:
        while True:
            with self._changed:
                while (delay := self._outbox.delay(self._clock())) != 0:
                    self._changed.wait(delay)
                state = self._outbox.take(self._clock())
                text = self._history.text()
            try:
                outcome = self._transport(text)
            except Exception as error:  # the thread must outlive whatever a transport raises
                outcome = Failed(f"{type(error).__name__}: {error}")
            self._explain(outcome)
            with self._changed:
                self._outbox.record(state, outcome, self._clock())
                self._changed.notify_all()

    def _explain(self, outcome: Outcome) -> None:
        """One line when something goes wrong or right again, not one for each try."""
        self.problem = None if isinstance(outcome, Delivered) else outcome.problem
        if isinstance(outcome, Delivered):
            if self._last_problem is not None:
                say("reports are delivered again")
            self._last_problem = None
            return
        if isinstance(outcome, Failed):
            if self._last_problem is None:
                say(f"a report was not delivered and is tried again: {outcome.problem}")
                self._last_problem = ""
        elif self._last_problem != outcome.problem:
            say(f"a report was refused, training goes on: {outcome.problem}")
            self._last_problem = outcome.problem
