"""`report`: where reports go, and that they arrive before the script ends."""

import atexit
import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, SupportsFloat

from hyperband.report import _environment as environment
from hyperband.report._history import History
from hyperband.report._log import say
from hyperband.report._pod import PodAnnotation
from hyperband.report._sender import Sender
from hyperband.report._values import plain_report

LOCAL_FILE = "hyperband-report.jsonl"
FLUSH_SECONDS = 30.0  # at exit
# After the last report, an API server that is away (an upgrade, say) is worth waiting for: without
# that report the whole attempt would be repeated.
FINAL_FLUSH_SECONDS = 300.0


class Destination(Protocol):
    """Where reports go."""

    def add(self, report: Mapping[str, float]) -> None:
        """Takes a report on."""

    def flush(self, timeout: float) -> bool:
        """Waits, at most `timeout` seconds, until all have arrived; whether they have."""


class Lines:
    """Appends each report to a file, as one line of JSON."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._failed = False

    def add(self, report: Mapping[str, float]) -> None:
        """Opens the file anew each time: it may be rotated, or moved away."""
        try:
            with self._path.open("a") as file:
                file.write(json.dumps(report) + "\n")
        except OSError as error:
            if not self._failed:
                say(f"reports are lost, training goes on: {error}")
            self._failed = True

    def flush(self, timeout: float) -> bool:
        """A closed file needs none."""
        return not self._failed


class Log:
    """Prints each report to stdout, where a pod has no token to send it with."""

    def add(self, report: Mapping[str, float]) -> None:
        """One line of JSON."""
        print(json.dumps(report), flush=True)

    def flush(self, timeout: float) -> bool:
        """Is done by `add`."""
        return True


_destination: Destination | None = None
_lock = threading.Lock()


def report(**metrics: SupportsFloat) -> None:
    """Reports what training has reached: `report(epochs=3, val_loss=0.21, accuracy=0.93)`.

    Needs the resource and the objective under the names that the study gives them; other metrics
    ride along. Names that are no Python names go in with `**{"val/loss": 0.21}`. Scalars of numpy
    and torch are fine. A NaN or infinite objective tells the operator that training diverged.
    Save the checkpoint first: in Promotion mode the pod is ended after the report.

    In a pod it returns at once, and a background thread sends the reports, except for the last one
    (HYPERBAND_RESOURCE_TO): then it waits until all have arrived. If the API server cannot be
    reached, it is tried again; training goes on in any case. With several processes, let one of
    them report. In a run by hand, reports are appended to the file HYPERBAND_REPORT_FILE, by
    default hyperband-report.jsonl.

    Raises:
        TypeError: a value is not a number.
        ValueError: the resource or the objective is missing, or the resource is not finite.
    """
    resource = environment.resource_name()
    numbers = plain_report(metrics, resource, environment.metric_name())
    destination = _open()
    destination.add(numbers)
    if resource is None or numbers[resource] < environment.resource_target(float("inf")):
        return
    if not destination.flush(FINAL_FLUSH_SECONDS):
        say("the last report was not delivered")


def flush(timeout: float = FLUSH_SECONDS) -> bool:
    """Waits, at most `timeout` seconds, until all reports have arrived.

    Called at exit anyway; needed only before `os._exit` and the like.

    Returns:
        Whether they have.
    """
    return _destination is None or _destination.flush(timeout)


@contextmanager
def replaced(destination: Destination) -> Iterator[None]:
    """Reports go to this destination within the block."""
    global _destination
    before, _destination = _destination, destination
    try:
        yield
    finally:
        _destination = before


def _open() -> Destination:
    global _destination
    with _lock:
        if _destination is None:
            _destination = _choose()
        return _destination


def _choose() -> Destination:
    environment.entered()
    file = os.environ.get(environment.ENV_REPORT_FILE)
    if file:  # in a pod, of the sidecar that sends what is in it
        return Lines(Path(file))
    if environment.ENV_POD_NAME not in os.environ:
        path = Path(LOCAL_FILE).absolute()
        say(f"not in a trial's pod: reports are appended to {path}")
        return Lines(path)
    mount = environment.token_mount()
    if not (mount / "token").exists():
        say(f"no token in {mount} (reporting mode Manual?): reports are printed only")
        return Log()
    sender = Sender(_history(), PodAnnotation(os.environ, mount), environment.interval())
    atexit.register(_flush_at_exit)
    return sender


def _history() -> History:
    resource, objective = environment.resource_name(), environment.metric_name()
    return History(resource or "", objective or "", environment.levels())


def _flush_at_exit() -> None:
    if not flush():
        say(f"exits with reports that were not delivered within {FLUSH_SECONDS:g} s")


def _after_fork() -> None:
    """A forked child has no sending thread, and perhaps a lock that nobody will release."""
    global _destination, _lock
    _destination = None
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
