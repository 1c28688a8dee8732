"""Kubernetes events on studies: one object for each reason, counted, written now and then.

A study of ten thousand trials makes tens of thousands of decisions; `kubectl describe` is to show
what kinds there were, how many and the latest of each, and etcd is not to hold more than that.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hyperband.api import names
from hyperband.backends.kubernetes.api_errors import AlreadyExists, KubernetesError, NotFound
from hyperband.backends.kubernetes.client import Client
from hyperband.backends.kubernetes.objects import Kind

log = logging.getLogger(__name__)

EVENTS = Kind("", "v1", "events")
COMPONENT = "hyperband-operator"
QUIET_SECONDS = 10.0  # between two writes of one event
MAX_MESSAGE = 1000


@dataclass(frozen=True, slots=True)
class Subject:
    """The study that events are about."""

    namespace: str
    name: str
    uid: str


@dataclass(slots=True)
class _Series:
    """One reason of one study."""

    name: str
    type: str
    count: int = 0
    written: int = 0
    first: str = ""
    message: str = ""
    due: float = 0.0  # when it may be written again
    exists: bool = False


class Recorder:
    """Counts events of one study and writes them when `flush` is called.

    Events are a courtesy: one that cannot be written is logged and forgotten, never an error.
    """

    def __init__(
        self,
        client: Client,
        subject: Subject,
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        self._client, self._subject = client, subject
        self._now, self._monotonic = now, monotonic
        self._series: dict[str, _Series] = {}

    def note(self, reason: str, message: str, *, warning: bool = False) -> None:
        """Counts an event; the next `flush` writes it, or a later one if it is frequent."""
        series = self._series.get(reason)
        if series is None:
            # A name of our own for each operator process: counts start again with it.
            stamp = int(self._now().timestamp() * 1e6)
            name = f"{self._subject.name}.{reason.lower()}.{stamp:x}"
            series = _Series(name, "Warning" if warning else "Normal", first=self._time())
            self._series[reason] = series
        series.count += 1
        # Whatever a training wrote may be quoted in it, also what UTF-8 cannot hold.
        series.message = message[:MAX_MESSAGE].encode("utf-8", "backslashreplace").decode()

    async def flush(self, *, last: bool = False) -> float | None:
        """Writes what is due, or everything at the last; returns the seconds until more is due."""
        now, soonest = self._monotonic(), None
        for reason, series in self._series.items():
            if series.count == series.written:
                continue
            if series.due > now and not last:
                soonest = min(soonest or series.due, series.due)
                continue
            series.due = now + QUIET_SECONDS
            try:
                await self._write(reason, series)
            except KubernetesError as error:
                log.warning("event %s of %s: %s", reason, self._subject.name, error)
            series.written = series.count
        return None if soonest is None else soonest - now

    async def _write(self, reason: str, series: _Series) -> None:
        namespace, fresh = self._subject.namespace, self._body(reason, series)
        if series.exists:
            change = {key: fresh[key] for key in ("count", "lastTimestamp", "message")}
            try:
                await self._client.patch(EVENTS, namespace, series.name, change, dict)
                return
            except NotFound:  # events are forgotten after an hour by default
                pass
        try:
            await self._client.create(EVENTS, namespace, fresh, dict)
        except AlreadyExists:  # an earlier try of this very create got through
            log.debug("event %s is there already", series.name)
        series.exists = True

    def _body(self, reason: str, series: _Series) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": series.name, "namespace": self._subject.namespace},
            "involvedObject": {
                "apiVersion": names.API_VERSION,
                "kind": names.STUDY_KIND,
                "namespace": self._subject.namespace,
                "name": self._subject.name,
                "uid": self._subject.uid,
            },
            "reason": reason,
            "message": series.message,
            "type": series.type,
            "count": series.count,
            "firstTimestamp": series.first,
            "lastTimestamp": self._time(),
            "source": {"component": COMPONENT},
            "reportingComponent": COMPONENT,
            "reportingInstance": COMPONENT,
        }

    def _time(self) -> str:
        return self._now().strftime("%Y-%m-%dT%H:%M:%SZ")
