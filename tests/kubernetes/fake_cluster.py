"""A cluster in memory for the study's task: objects, faults at any call, and pods that train.

What it promises is what a real API server does at these points: resourceVersions as preconditions,
a status that only its subresource changes, names that exist once. Pods move when `live` is called:
created, running, reported and over, or being deleted and gone.
"""

import asyncio
import copy
import json
import pickle
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec

from hyperband.api import names
from hyperband.api.archive import unpack
from hyperband.backends.kubernetes.api_errors import AlreadyExists, Conflict, Invalid, NotFound
from hyperband.backends.kubernetes.attempts import is_over
from hyperband.backends.kubernetes.cache import Cache, Change
from hyperband.backends.kubernetes.client import Page, PageMetadata
from hyperband.backends.kubernetes.cluster import STATUSES_A_SECOND, Cluster
from hyperband.backends.kubernetes.objects import ARCHIVES, PODS, STUDIES, TRIALS, Kind, Object, Pod
from hyperband.backends.kubernetes.pace import Pace
from hyperband.backends.kubernetes.study_pods import owner_key
from hyperband.backends.kubernetes.study_task import StudyTask
from hyperband.core.gp.proposing import Proposal, Proposing
from hyperband.core.records import Fit

NAMESPACE = "team"
START = datetime(2026, 1, 1, tzinfo=UTC)
PAGE = 3  # objects in one answer to a list
Body = dict[str, Any]
T = TypeVar("T")
# Called before and after each request takes effect; may raise.
Fault = Callable[[str, str, str, str], None]  # "before" or "after", verb, plural, name


class Killed(BaseException):
    """The operator's process is no more."""


def study_body(**spec: Any) -> Body:
    """A study of 4 trials, 2 at a time, with rungs at 1 and 3 epochs."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.STUDY_KIND,
        "metadata": {"name": "s", "namespace": NAMESPACE, "generation": 1},
        "spec": {
            "objective": {"metric": "loss"},
            "resource": {"name": "epochs", "min": 1, "max": 3},
            "parameters": [{"name": "x", "type": "Float", "min": 0, "max": 1}],
            "parallelism": 2,
            "maxTrials": 4,
            "reporting": {"mode": "Manual"},
            "trialTemplate": {"spec": {"containers": [{"name": "train", "image": "trainer"}]}},
            **spec,
        },
    }


class FakeClient:
    """The part of `Client` that a study's task uses."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Body] = {}
        self.calls: list[tuple[str, str, str]] = []
        self.fault: Fault = lambda *_: None
        self.most_alive = 0
        self.revision = 0  # of the last change
        self.now: Callable[[], datetime] = lambda: START
        self.told: Callable[[Kind, Body, bool], None] = lambda *_: None  # body, whether it is gone
        self.said: list[str] = []  # every message of an event, also those that later ones replaced

    def add(self, kind: Kind, body: Mapping[str, Any]) -> Body:
        body = json.loads(json.dumps(body))
        name = body["metadata"]["name"]
        self.revision += 1
        number = self.revision
        body["metadata"] |= {"uid": f"uid-{name}-{number}", "resourceVersion": str(number)}
        body["metadata"]["creationTimestamp"] = self.now().isoformat()
        self.objects[kind.plural, name] = body
        self.told(kind, body, False)
        return body

    def touch(self, body: Body) -> Body:
        self.revision += 1
        body["metadata"]["resourceVersion"] = str(self.revision)
        return body

    def bodies(self, kind: Kind) -> list[Body]:
        return [body for (plural, _), body in self.objects.items() if plural == kind.plural]

    def events(self) -> list[Body]:
        """Those that were created, as they are now."""
        return [body for (plural, _), body in self.objects.items() if plural == "events"]

    def alive(self) -> int:
        return sum(not is_over(as_(pod, Pod)) for pod in self.bodies(PODS))

    async def get(self, kind: Kind, namespace: str, name: str, type_: Any) -> Any:
        self._call("before", "get", kind, name)
        if (kind.plural, name) not in self.objects:
            raise NotFound(404)
        self._call("after", "get", kind, name)
        return as_(self.objects[kind.plural, name], type_)

    async def pages(
        self, kind: Kind, type_: Any, namespace: str | None = None, *, label_selector: str = ""
    ) -> AsyncIterator[Page[Any]]:
        self._call("before", "list", kind, "")
        key, _, value = label_selector.partition("=")
        bodies = [b for b in self.bodies(kind) if not key or _labels(b).get(key) == value]
        for first in range(0, len(bodies) or 1, PAGE):
            items = [as_(body, type_) for body in bodies[first : first + PAGE]]
            yield Page(PageMetadata(str(self.revision)), items)

    async def create(
        self, kind: Kind, namespace: str, body: Body, type_: Any, *, dry_run: bool = False, **_: Any
    ) -> Any:
        name = body["metadata"]["name"]
        self._call("before", "dry-run" if dry_run else "create", kind, name)
        if (kind.plural, name) in self.objects:
            raise AlreadyExists(409, "AlreadyExists")
        if dry_run:
            return as_(body, dict)
        created = self.add(kind, body)
        if kind.plural == "events":
            self.said.append(created["message"])
        self.most_alive = max(self.most_alive, self.alive())
        self._call("after", "create", kind, name)
        return as_(created, type_)

    async def replace_status(
        self, kind: Kind, namespace: str, name: str, body: Body, type_: Any
    ) -> Any:
        self._call("before", "status", kind, name)
        known = self.objects.get((kind.plural, name))
        if known is None:
            raise NotFound(404)
        if known["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"]:
            raise Conflict(409, "Conflict")
        status = msgspec.json.decode(msgspec.json.encode(body["status"]))
        if known.get("status") != status:
            known["status"] = status
            self.touch(known)
        answer = as_(known, type_)
        self._call("after", "status", kind, name)
        return answer

    async def patch(self, kind: Kind, namespace: str, name: str, change: Body, type_: Any) -> Any:
        if kind.plural == "events":
            event = self.objects.get((kind.plural, name))
            if event is None:
                raise NotFound(404)
            event.update(change)
            self.said.append(event["message"])
            return as_(self.touch(event), type_)
        self._call("before", "patch", kind, name)
        known = self.objects.get((kind.plural, name))
        if known is None:
            raise NotFound(404)
        if change["metadata"]["uid"] != known["metadata"]["uid"]:
            raise Invalid(422, "Invalid", "metadata.uid: field is immutable")
        known["metadata"].setdefault("annotations", {}).update(change["metadata"]["annotations"])
        known["spec"].update(change["spec"])
        answer = as_(self.touch(known), type_)
        self._call("after", "patch", kind, name)
        return answer

    async def delete(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
    ) -> None:
        self._call("before", "delete", kind, name)
        body = self.objects.get((kind.plural, name))
        if body is None:
            raise NotFound(404)
        if uid not in (None, body["metadata"]["uid"]):
            raise Conflict(409, "Conflict")
        if resource_version not in (None, body["metadata"]["resourceVersion"]):
            raise Conflict(409, "Conflict")
        if kind == PODS:  # ends within its grace period
            body["metadata"]["deletionTimestamp"] = START.isoformat()
            self.touch(body)
        else:
            self.drop(kind, name)
        self._call("after", "delete", kind, name)

    def drop(self, kind: Kind, name: str) -> None:
        """The object is gone."""
        self.told(kind, self.touch(self.objects.pop((kind.plural, name))), True)

    def _call(self, when: str, verb: str, kind: Kind, name: str) -> None:
        if kind.plural == "events":
            return
        if when == "before":
            self.calls.append((verb, kind.plural, name))
        self.fault(when, verb, kind.plural, name)


class Inline:
    """Works at once, on the event loop; but while `held`, a fit waits for `release`.

    Attributes:
        begun: how many fits were asked for.
        runs: how many functions were called.
        proposed: how many searches were made.
        meanwhile: called while a function is under way in its thread.
    """

    def __init__(self) -> None:
        self.held = False
        self.waiting: list[tuple[Callable[[], Fit], asyncio.Future[Fit]]] = []
        self.begun = self.runs = self.proposed = 0
        self.meanwhile: Callable[[], None] = lambda: None

    def fit(self, fitting: Callable[[], Fit]) -> asyncio.Future[Fit]:
        future = asyncio.get_running_loop().create_future()
        self.begun += 1
        self.waiting.append((fitting, future))
        if not self.held:
            self.release()
        return future

    def release(self) -> None:
        for fitting, future in self.waiting:
            if future.cancelled():
                continue
            try:
                future.set_result(fitting())
            except Exception as error:
                future.set_exception(error)
        self.waiting.clear()

    async def propose(self, study: str, proposing: Proposing) -> Proposal:
        self.proposed += 1
        return pickle.loads(pickle.dumps(proposing))(None)[0]  # type: ignore[no-any-return]

    async def run(self, function: Callable[[], T]) -> T:
        self.runs += 1
        result = function()
        self.meanwhile()
        return result


class World:
    """One study on a fake cluster, its task, and the kubelet and trainers of its pods."""

    def __init__(self, body: Body | None = None) -> None:
        body = body or study_body()
        self.seconds = 0.0
        self.client = FakeClient()
        self.client.now = self.now
        self.client.add(STUDIES, body)
        self.workers = Inline()
        self.start()

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def start(self) -> None:
        """A new operator process: it knows nothing but what the server has."""
        self.pods: Any = Cache(on_change=self._changed, index=owner_key)
        self.trial_objects: Any = Cache(index=owner_key)
        self.cluster = Cluster(
            self.client,  # type: ignore[arg-type]  # stands in for it
            self.pods,
            self.trial_objects,
            self.now,
            lambda: self.seconds,
            self.workers,
            statuses=Pace(STATUSES_A_SECOND, lambda _: asyncio.sleep(0)),
        )
        self.task = StudyTask(self.cluster, copy.deepcopy(self.study))
        self.pods.begin_list()
        for pod in self.client.bodies(PODS):
            self.pods.see_listed(as_(pod, Pod))
        self.pods.end_list(self.client.revision)
        self.trial_objects.begin_list()
        for trial in self.client.bodies(TRIALS):
            self.trial_objects.see_listed(as_(trial, Object))
        self.trial_objects.end_list(self.client.revision)
        self.client.told = self._told

    async def step(self) -> None:
        """One step of the task, and the time that it wants to wait at the least."""
        wait = await self.task.try_step()
        self.seconds += max(1.0, wait or 0.0)

    async def run(self, rounds: int = 200) -> None:
        """Steps and life in turn until the study is over; a killed operator is started again.

        Raises:
            AssertionError: it is never over.
        """
        for _ in range(rounds):
            try:
                await self.step()
            except Killed:
                self.start()
            if self.condition("Finished") == "True":
                return
            self.live()
        raise AssertionError(f"not over after {rounds} rounds: {self.study.get('status')}")

    def live(self) -> None:
        """Every pod takes its next step."""
        for pod in self.client.bodies(PODS):
            self.advance(pod)

    def advance(self, pod: Body) -> None:
        """A pod takes its next step."""
        status = pod.setdefault("status", {})
        if "deletionTimestamp" in pod["metadata"]:
            self.remove(pod)
        elif overdue(pod):
            self.expire(pod)
        elif not status:
            self.set(pod, phase="Running")
        elif status["phase"] == "Running":
            reports = [self.report(pod)] if trains(pod) else None
            self.set(pod, phase="Succeeded", reports=reports)

    def report(self, pod: Body) -> Body:
        """What the pod's training comes to: the loss is a function of trial and resource."""
        env = {e["name"]: e.get("value") for e in pod["spec"]["containers"][0]["env"]}
        epochs = float(env[names.ENV_RESOURCE_TO])
        return {"epochs": epochs, "loss": float(env["HYPERBAND_PARAM_X"]) + 1 / epochs}

    def change(self, **spec: Any) -> None:
        """A user changes the spec."""
        self.study["spec"] |= spec
        self.study["metadata"]["generation"] += 1
        self.task.update(as_(self.client.touch(self.study), dict))

    def set(
        self, pod: Body, *, phase: str | None = None, reports: Any = None, deleting: bool = False
    ) -> None:
        """Changes a pod and lets the watch tell of it."""
        if phase is not None:
            state: Body = {"running": {"startedAt": START.isoformat()}}
            if phase in ("Succeeded", "Failed"):
                ended = (START + timedelta(seconds=self.seconds)).isoformat()
                state = {"terminated": {"exitCode": int(phase == "Failed"), "finishedAt": ended}}
            pod["status"] = {
                "phase": phase,
                "startTime": START.isoformat(),
                "containerStatuses": [{"name": "train", "state": state}],
            }
        if reports is not None:
            text = reports if isinstance(reports, str) else json.dumps(reports)
            pod["metadata"].setdefault("annotations", {})[names.METRICS_ANNOTATION] = text
        if deleting:
            pod["metadata"]["deletionTimestamp"] = START.isoformat()
        self.show(self.client.touch(pod))

    def expire(self, pod: Body) -> None:
        """The kubelet ends a pod whose deadline is over."""
        self.set(pod, phase="Failed")
        pod["status"]["reason"] = "DeadlineExceeded"
        self.show(self.client.touch(pod))

    def show(self, pod: Body) -> None:
        self.pods.see(as_(pod, Pod))

    def remove(self, pod: Body) -> None:
        """The pod is gone from the server."""
        del self.client.objects[PODS.plural, pod["metadata"]["name"]]
        self.pods.see_deleted(as_(self.client.touch(pod), Pod))

    def strip(self, pod: Body) -> None:
        """The pod loses its label; the watch tells of that as of a deletion."""
        before = copy.deepcopy(pod)
        del pod["metadata"]["labels"][names.STUDY_LABEL]
        self.client.touch(pod)
        before["metadata"]["resourceVersion"] = pod["metadata"]["resourceVersion"]
        self.pods.see_deleted(as_(before, Pod))

    @property
    def study(self) -> Body:
        return self.client.objects[STUDIES.plural, "s"]

    @property
    def trials(self) -> list[Body]:
        """All trials of the study, archived or not."""
        own = [t for t in self.client.bodies(TRIALS) if _labels(t).get(names.STUDY_LABEL) == "s"]
        archived = {
            t["spec"]["index"]: t for a in self.client.bodies(ARCHIVES) for t in unpack(a["spec"])
        }
        own = [t for t in own if t.get("status") or t["spec"]["index"] not in archived]
        there = {t["spec"]["index"] for t in own}
        own += [t for index, t in archived.items() if index not in there]
        return sorted(own, key=lambda t: int(t["spec"]["index"]))

    def pod(self, name: str) -> Body:
        return self.client.objects[PODS.plural, name]

    def condition(self, type_: str, key: str = "status") -> str:
        rows = self.study.get("status", {}).get("conditions", [])
        return next((str(row[key]) for row in rows if row["type"] == type_), "")

    def _told(self, kind: Kind, body: Body, gone: bool) -> None:
        """What the informers of trials and archives hear, and the manager tells the task."""
        if kind == TRIALS:
            if gone:
                self.trial_objects.see_deleted(as_(body, Object))
                self.task.trial_gone(body["metadata"]["uid"])
            else:
                self.trial_objects.see(as_(body, Object))
        elif kind == ARCHIVES and gone:
            self.task.archive_gone(body["metadata"]["uid"])

    def _changed(self, change: Change, old: Pod | None, new: Pod | None) -> None:
        for pod in (old, new):
            if pod is not None and names.TRIAL_LABEL not in pod.metadata.labels:
                self.task.own_pod_changed()
            elif pod is not None:
                index = int(pod.metadata.labels[names.TRIAL_LABEL])
                self.task.pod_changed(index, pod if change is Change.DELETED else None)


def _labels(body: Body) -> Mapping[str, str]:
    labels: Mapping[str, str] = body["metadata"].get("labels", {})
    return labels


def trains(pod: Body) -> bool:
    """Whether it is a trial's pod."""
    return names.TRIAL_LABEL in pod["metadata"]["labels"]


def overdue(pod: Body) -> bool:
    """Whether a pod that runs has been given a deadline that is over by now."""
    running = pod.get("status", {}).get("phase") == "Running"
    return running and pod["spec"].get("activeDeadlineSeconds") == 1


def as_(body: Body, type_: Any) -> Any:
    """The object as the client would give it."""
    if type_ is dict:
        return copy.deepcopy(body)
    return msgspec.json.decode(msgspec.json.encode(body), type=type_)
