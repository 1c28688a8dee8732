"""Sends what a training appends to a file: `python3 -m hyperband.report.sidecar`.

A native sidecar of a trial's pod. The training writes lines of JSON to HYPERBAND_REPORT_FILE, with
whatever it likes; this process, which alone has the pod's token, follows the file and writes the
annotation. It ends at SIGTERM, which a kubelet sends when the training has ended: what was
written by then is sent first, within HYPERBAND_FLUSH_SECONDS.

Its state is the file and the annotation. When it is started again it reads both: a file is read
from its beginning, and what the annotation has already is passed over.
"""

import json
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from hyperband.report import _environment as environment
from hyperband.report._history import History
from hyperband.report._lines import MAX_LINE, Begun, Event, LineFile, TooLong
from hyperband.report._log import say
from hyperband.report._outbox import FIRST_BACKOFF, MAX_BACKOFF, Failed
from hyperband.report._pod import PodAnnotation
from hyperband.report._sender import Sender
from hyperband.report._written import (
    MAX_UNUSABLE,
    Unusable,
    read_entry,
    read_line,
    write_unusable,
)

POLL_SECONDS: Final = 0.5
FLUSH_SECONDS: Final = 20.0  # of the 30 that a pod has by default
UNDELIVERED: Final = 1
# As sysexits.h has it: the API server could not be reached, which is no fault of the training.
TEMPORARY_FAILURE: Final = 75
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_REMEMBERED: Final = 100  # reports of one resource
_FOR_SENDING: Final = 0.25  # of the time after the order to end, however much there is to read


def main() -> int:
    """Runs until a signal; whether all was delivered, as an exit code."""
    # Before any thread starts, so that all block them. A blocked signal waits for sigtimedwait,
    # also in a container's first process, for which the kernel drops those without a handler.
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    file = LineFile(Path(os.environ[environment.ENV_REPORT_FILE]))
    annotation = PodAnnotation(os.environ, environment.token_mount())
    stop = Stop(float(os.environ.get(environment.ENV_FLUSH_SECONDS, FLUSH_SECONDS)))
    resource, objective = environment.resource_name() or "", environment.metric_name() or ""
    limit = environment.MAX_METRICS_BYTES - MAX_UNUSABLE - 1
    history = History(resource, objective, environment.levels(), limit)
    known = Known(resource, objective)
    if not file.create():  # this container is not the pod's first one
        before = _before(annotation, stop)
        if before is None:
            return TEMPORARY_FAILURE
        resume(before, history, known)
    sender = Sender(history, annotation, environment.interval())
    follower = Follower(sender, known)
    while not stop.wait(0 if file.behind else POLL_SECONDS):
        follower.follow(file)
    follower.follow(file)
    while file.behind and not stop.late:
        follower.follow(file)
    unread = file.behind
    if unread:  # no fault of the API server's
        say("ends before it has read all that was written: report less often")
    else:
        follower.take(file.finish())
    if not file.used:  # the operator quotes this where a training that ended well has no value
        named = f"{file.path}, which {environment.ENV_REPORT_FILE} names"
        say(file.problem or f"nothing was written to {named}")
        return UNDELIVERED
    if sender.flush(stop.left):
        return UNDELIVERED if unread else 0
    say(f"ends with reports that were not delivered: {sender.problem}")
    return UNDELIVERED if sender.settled else TEMPORARY_FAILURE


def _before(annotation: PodAnnotation, stop: "Stop") -> str | None:
    """The annotation that an earlier process of this pod has left; None if it cannot be had.

    Nothing may be sent before it is known: it may have what the file has no more.
    """
    pause = FIRST_BACKOFF
    while isinstance(found := annotation.current(), Failed):
        say(f"the pod's annotation was not read and is tried again: {found.problem}")
        if stop.left == 0:
            return None
        if stop.wait(pause):
            time.sleep(min(FIRST_BACKOFF, stop.left))
        pause = min(2 * pause, MAX_BACKOFF)
    if isinstance(found, str):
        return found
    say(f"what the pod has reported before is not known: {found.problem}")
    return ""


class Stop:
    """The order to end, and the time that is left then."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._deadline: float | None = None

    def wait(self, seconds: float) -> bool:
        """Waits for the order, at most so long; whether it was given."""
        if self._deadline is None and signal.sigtimedwait(_SIGNALS, seconds) is not None:
            self._deadline = time.monotonic() + self._seconds
        return self._deadline is not None

    @property
    def late(self) -> bool:
        """Whether what is left is for sending alone."""
        return self.left < self._seconds * _FOR_SENDING

    @property
    def left(self) -> float:
        """Seconds until all must be over."""
        if self._deadline is None:
            return self._seconds
        return max(0.0, self._deadline - time.monotonic())


class Known:
    """Which reports of a file that is read anew have been read before.

    Resources ascend, so that is told by the greatest one; among reports of the same resource, by
    their value.
    """

    def __init__(self, resource: str, objective: str) -> None:
        self.resource, self.objective = resource, objective
        self._newest: deque[tuple[float, float]] = deque(maxlen=_REMEMBERED)  # all of one resource
        self._before: tuple[tuple[float, float], ...] = ()

    def begin(self) -> None:
        """From here on, what was taken before may come again."""
        self._before = tuple(self._newest)

    def take(self, report: Mapping[str, float]) -> bool:
        """Whether the report is a new one."""
        core = (report[self.resource], report[self.objective])
        if self._before and core[0] < self._before[0][0]:
            return False
        if any(_same(core, each) for each in self._before):
            return False
        if not self._newest or core[0] > self._newest[0][0]:
            self._newest.clear()
        if not self._newest or core[0] == self._newest[0][0]:
            self._newest.append(core)
        return True


def _same(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether the two are equal, or both not a number."""
    return one == other or (one[0] == other[0] and one[1] != one[1] and other[1] != other[1])


def resume(annotation: str, history: History, known: Known) -> None:
    """Goes on from what was sent before."""
    try:
        entries = json.loads(annotation or "[]")
    except (ValueError, RecursionError):  # somebody else has written it
        return
    for entry in entries if isinstance(entries, list) else [entries]:
        report = read_entry(entry, known.resource, known.objective)
        if report is None:
            unusable = write_unusable(entry)
            if unusable is not None:
                history.complain(unusable)
        elif known.take(report):
            history.add(report)
    known.begin()


class Follower:
    """Hands on what a file has, and says in the container's log what is wrong with it."""

    def __init__(self, sender: Sender, known: Known) -> None:
        self._sender, self._known = sender, known
        self._said: set[str] = set()

    def follow(self, file: LineFile) -> None:
        """Hands on what has come."""
        self.take(file.read())
        if file.problem is not None:
            self._say_once(file.problem)

    def take(self, events: Iterable[Event]) -> None:
        """Hands on the reports among them that are new."""
        for event in events:
            if isinstance(event, Begun):
                self._known.begin()
            elif isinstance(event, TooLong):
                words = f"a line has more than {MAX_LINE} bytes: write one report a line"
                self._complain(Unusable(json.dumps(words)))
            else:
                report = read_line(event, self._known.resource, self._known.objective)
                if isinstance(report, Unusable):
                    self._complain(report)
                elif self._known.take(report):
                    self._sender.add(report)

    def _complain(self, unusable: Unusable) -> None:
        self._sender.complain(unusable.entry)
        self._say_once(f"a line is no report and is left out: {unusable.entry}")

    def _say_once(self, problem: str) -> None:
        if problem not in self._said and len(self._said) < _REMEMBERED:
            self._said.add(problem)
            say(problem)


if __name__ == "__main__":
    sys.exit(main())
