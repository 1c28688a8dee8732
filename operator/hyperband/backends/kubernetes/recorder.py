"""Kubernetes events on studies: one object for each reason, counted, written now and then.

A study of ten thousand trials makes tens of thousands of decisions; `kubectl describe` is to show
what kinds there were, how many and the latest of each, and etcd is not to hold more than that. An
operator that is started again counts on where the one before it has stopped.
"""

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hyperband.api import names
from hyperband.api.times import in_seconds
from hyperband.backends.kubernetes.api_errors import AlreadyExists, KubernetesError, NotFound
from hyperband.backends.kubernetes.client import Client
from hyperband.backends.kubernetes.objects import Kind
from hyperband.core.errors import encodable

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
    count: int = 0  # by this process
    before: int = 0  # by earlier ones, as their event said
    written: int = 0  # of `count`
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
        # Tells our own earlier try to create an event from one of another process.
        self._instance = f"{COMPONENT}-{int(now().timestamp() * 1e6):x}"

    @property
    def namespace(self) -> str:
        """The study's."""
        return self._subject.namespace

    def note(self, reason: str, message: str, *, warning: bool = False) -> None:
        """Counts an event; the next `flush` writes it, or a later one if it is frequent."""
        series = self._series.get(reason)
        if series is None:
            series = _Series(
                self._name(reason), "Warning" if warning else "Normal", first=self._time()
            )
            self._series[reason] = series
        series.count += 1
        # Whatever a training wrote may be quoted in it.
        series.message = encodable(message, MAX_MESSAGE)

    async def flush(self, *, last: bool = False) -> float | None:
        """Writes what is due, or everything at the last; returns the seconds until more is due."""
        now, soonest = self._monotonic(), None
        for reason, series in list(self._series.items()):  # more may be noted meanwhile
            if series.count == series.written:
                continue
            if series.due > now and not last:
                soonest = min(soonest or series.due, series.due)
                continue
            series.due, count = now + QUIET_SECONDS, series.count
            try:
                await self._write(reason, series)
            except KubernetesError as error:
                log.warning("event %s of %s: %s", reason, self._subject.name, error)
            series.written = count
        return None if soonest is None else soonest - now

    async def _write(self, reason: str, series: _Series) -> None:
        namespace = self._subject.namespace
        if series.exists:
            try:
                await self._change(reason, series)
                return
            except NotFound:  # events are forgotten after an hour by default
                pass
        try:
            await self._client.create(EVENTS, namespace, self._body(reason, series), dict)
        except AlreadyExists:
            # A patch of nothing reads it, without a further permission.
            found = await self._client.patch(EVENTS, namespace, series.name, {}, dict)
            if found.get("reportingInstance") != self._instance:
                series.before = int(found.get("count") or 0)
            await self._change(reason, series)
        series.exists = True

    async def _change(self, reason: str, series: _Series) -> None:
        keys = ("count", "lastTimestamp", "message", "reportingInstance")
        fresh = self._body(reason, series)
        change = {key: fresh[key] for key in keys}
        await self._client.patch(EVENTS, self._subject.namespace, series.name, change, dict)

    def _name(self, reason: str) -> str:
        """The same for every operator process, another one for a study made anew."""
        key = hashlib.sha256(self._subject.uid.encode()).hexdigest()[:12]
        return f"{self._subject.name}.{reason.lower()}.{key}"

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
            "count": series.before + series.count,
            "firstTimestamp": series.first,
            "lastTimestamp": self._time(),
            "source": {"component": COMPONENT},
            "reportingComponent": COMPONENT,
            "reportingInstance": self._instance,
        }

    def _time(self) -> str:
        return in_seconds(self._now())
