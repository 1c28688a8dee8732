"""What the API server's audit log tells: who wrote what, when, and how long it took."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from msgspec import Struct, field, json

from benchmarks.scale.training import RUNG_MANAGER

OPERATOR: Final = "operator"


class _Target(Struct, frozen=True, gc=False):
    resource: str
    name: str = ""
    namespace: str = ""
    subresource: str = ""


class _User(Struct, frozen=True, gc=False):
    username: str


class _Status(Struct, frozen=True, gc=False):
    code: int = 0


class _Event(Struct, frozen=True, gc=False, rename="camel"):
    verb: str
    user: _User
    object_ref: _Target
    request_received_timestamp: datetime
    stage_timestamp: datetime
    response_status: _Status
    request_uri: str = field(name="requestURI")


@dataclass(frozen=True, slots=True)
class Write:
    """One write that was answered. Times are seconds since 1970."""

    verb: str
    resource: str  # with its subresource
    namespace: str
    name: str
    user: str
    reaches_rung: bool  # a report
    begun: float
    ended: float
    code: int

    @property
    def what(self) -> tuple[str, str]:
        return self.verb, self.resource


def read(path: Path) -> list[Write]:
    """All that worked and were not only tried, in the order of their ends."""
    decoder = json.Decoder(_Event)
    with path.open("rb") as lines:
        events = (decoder.decode(line) for line in lines)
        writes = [_write(event) for event in events if "dryRun=All" not in event.request_uri]
    return sorted((w for w in writes if 200 <= w.code < 300), key=lambda write: write.ended)


def _write(event: _Event) -> Write:
    target = event.object_ref
    return Write(
        verb=event.verb,
        resource="/".join(part for part in (target.resource, target.subresource) if part),
        namespace=target.namespace,
        name=target.name,
        user=event.user.username,
        reaches_rung=f"fieldManager={RUNG_MANAGER}" in event.request_uri,
        begun=event.request_received_timestamp.timestamp(),
        ended=event.stage_timestamp.timestamp(),
        code=event.response_status.code,
    )


def between(writes: Iterable[Write], begin: float, end: float) -> list[Write]:
    """Those that ended in that time."""
    return [write for write in writes if begin <= write.ended < end]


def answers(writes: Sequence[Write], begin: float, end: float) -> list[tuple[float, float]]:
    """When each report of that time that reached a rung was made, and when its trial's next record.

    A report that no record followed counts as infinitely late.
    """
    records: dict[tuple[str, str], list[float]] = defaultdict(list)
    for write in writes:
        if write.user == OPERATOR and write.resource == "hyperbandtrials/status":
            records[write.namespace, write.name].append(write.ended)
    found = []
    for write in between(writes, begin, end):
        if write.reaches_rung:
            trial = write.namespace, write.name.rpartition("-")[0]
            # A record is often written before the report's own answer is logged.
            after = (t for t in records[trial] if t >= write.begun)
            found.append((write.ended, max(write.ended, min(after, default=float("inf")))))
    return found


def latencies(writes: Iterable[Write], user: str) -> list[float]:
    """The API server's own seconds for each write of that user."""
    return [write.ended - write.begun for write in writes if write.user == user]


def rate(writes: Iterable[Write], what: tuple[str, str]) -> float:
    """Operator's writes of that kind a second, from the first to the last of them."""
    moments = [write.ended for write in writes if write.user == OPERATOR and write.what == what]
    return (len(moments) - 1) / (max(moments) - min(moments)) if len(moments) > 1 else 0.0


def counts(writes: Iterable[Write]) -> Counter[tuple[str, str]]:
    """The operator's writes by verb and resource."""
    return Counter(write.what for write in writes if write.user == OPERATOR)


def needed(trial: Mapping[str, Any]) -> Counter[tuple[str, str]]:
    """The most writes that a trial with this record and its pods may have cost.

    The trial itself and one for each value at a rung; for each attempt its pod made and ended, and
    three records: that it is due, which the first one's creation says, that it runs, and its end.
    """
    status = trial.get("status") or {}
    attempts = status.get("attempt", 0) + 1
    return Counter(
        {
            ("create", "hyperbandtrials"): 1,
            ("update", "hyperbandtrials/status"): len(status.get("rungs", ())) + 3 * attempts - 1,
            ("create", "pods"): attempts,
            ("patch", "pods"): attempts,
        }
    )


def beyond(writes: Iterable[Write], trials: Iterable[Mapping[str, Any]]) -> int:
    """The operator's writes to trials and their pods that were more than needed."""
    allowed = {(t["metadata"]["namespace"], t["metadata"]["name"]): needed(t) for t in trials}
    made: dict[tuple[str, str], Counter[tuple[str, str]]] = defaultdict(Counter)
    for write in writes:
        if write.user == OPERATOR and write.resource.startswith(("hyperbandtrials", "pods")):
            name = write.name.rpartition("-")[0] if write.resource == "pods" else write.name
            made[write.namespace, name][write.what] += 1
    return sum((count - allowed.get(key, Counter())).total() for key, count in made.items())


def most_a_second(writes: Iterable[Write], resource: str) -> tuple[int, int]:
    """The operator's most writes of a resource within one second: to one object, and to all.

    By their beginnings: how long each takes is the API server's.
    """
    moments: dict[str, list[float]] = defaultdict(list)
    for write in writes:
        if write.user == OPERATOR and write.resource == resource:
            moments[f"{write.namespace}/{write.name}"].append(write.begun)
    one = max((_densest(sorted(each)) for each in moments.values()), default=0)
    return one, _densest(sorted(t for each in moments.values() for t in each))


def _densest(moments: Sequence[float]) -> int:
    """The most of these ascending moments within a second."""
    if not moments:
        return 0
    ascending = np.asarray(moments)
    return int((np.searchsorted(ascending, ascending + 1.0) - np.arange(len(ascending))).max())


def quantile(values: Sequence[float], q: float) -> float:
    """NaN where there are none; infinite values count."""
    return float(np.quantile(values, q, method="higher")) if values else float("nan")
