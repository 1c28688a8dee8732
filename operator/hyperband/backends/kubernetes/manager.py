"""The studies of one scope: a task each, begun, told and ended as objects come, change and go."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from hyperband.api import names
from hyperband.api.status import is_finished
from hyperband.backends.kubernetes.api_errors import KubernetesError
from hyperband.backends.kubernetes.client import Client
from hyperband.backends.kubernetes.cluster import Cluster
from hyperband.backends.kubernetes.informer import Change
from hyperband.backends.kubernetes.objects import STUDIES, Object, Pod
from hyperband.backends.kubernetes.study_task import StudyTask
from hyperband.backends.kubernetes.telemetry.context import about

log = logging.getLogger(__name__)

AUDIT_SECONDS = 60.0
END_ATTEMPTS = 5  # at ending a deleted study's pods; after that the garbage collector has them

Key = tuple[str, str]  # namespace, name


class Manager:
    """Owns the tasks of the studies in its scope. Its methods are called from the event loop.

    Args:
        namespace: its scope, or None for all of them.
    """

    def __init__(self, namespace: str | None = None) -> None:
        self.namespace = namespace
        self._cluster: Cluster | None = None  # where there is none, another process works here
        self._tasks: dict[Key, StudyTask] = {}
        self._runs: dict[Key, asyncio.Task[None]] = {}
        self._endings: set[asyncio.Task[None]] = set()

    def start(self, cluster: Cluster) -> None:
        """From now on studies are taken up; the informers must be in sync."""
        self._cluster = cluster

    # -- news -------------------------------------------------------------------------------

    def study_seen(self, body: Mapping[str, Any]) -> None:
        """A study is there, new, changed or as before."""
        if self._cluster is None:
            return
        metadata = body["metadata"]
        key = (metadata["namespace"], metadata["name"])
        task = self._tasks.get(key)
        if task is not None and task.is_newer_than(body):
            return  # kopf may come late with what the list has told already
        if task is not None and task.uid != metadata["uid"]:  # deleted and made anew
            self._end(key)
            task = None
        if metadata.get("deletionTimestamp"):
            self._end(key)
        elif task is not None:
            task.update(body)
        else:
            self._begin(self._cluster, key, body)
            self._tell_others(key)
        if is_finished(body.get("status") or {}):
            self._tell_others(key)

    def study_gone(self, namespace: str, name: str, uid: str) -> None:
        """A study has been deleted."""
        task = self._tasks.get((namespace, name))
        if task is not None and task.uid == uid:
            self._end((namespace, name))
            self._tell_others((namespace, name))

    def _tell_others(self, changed: Key) -> None:
        """Some may wait for this study in order to start warm from it."""
        for (namespace, _), task in self._tasks.items():
            if namespace == changed[0]:
                task.other_study_changed(changed[1])

    def pod_changed(self, change: Change, old: Pod | None, new: Pod | None) -> None:
        """For the informer of pods."""
        for pod in (old, new):  # both: its owner may have been changed
            owner = pod.metadata.controller if pod is not None else None
            if pod is None or owner is None:
                continue
            if owner.kind == names.STUDY_KIND:
                task = self._tasks.get((pod.metadata.namespace, owner.name))
                if task is not None:
                    task.own_pod_changed()
                continue
            study, _, index = owner.name.rpartition("-")  # labels may be anything
            task = self._tasks.get((pod.metadata.namespace, study))
            if task is not None and index.isdecimal():
                task.pod_changed(int(index), pod if change is Change.DELETED else None)

    def trial_changed(self, change: Change, old: Object | None, new: Object | None) -> None:
        """For the informer of trials. One that has lost its label is not found by its study."""
        study = "" if old is None else old.metadata.labels.get(names.STUDY_LABEL, "")
        label = "" if new is None else new.metadata.labels.get(names.STUDY_LABEL, "")
        if old is not None and (change is Change.DELETED or label != study):
            task = self._tasks.get((old.metadata.namespace, study))
            if task is not None:
                task.trial_gone(old.metadata.uid)

    def archive_changed(self, change: Change, old: Object | None, new: Object | None) -> None:
        """For the informer of archives."""
        if change is Change.DELETED and old is not None:
            study = old.metadata.labels.get(names.STUDY_LABEL, "")
            task = self._tasks.get((old.metadata.namespace, study))
            if task is not None:
                task.archive_gone(old.metadata.uid)

    # -- tasks ------------------------------------------------------------------------------

    def _begin(self, cluster: Cluster, key: Key, body: Mapping[str, Any]) -> None:
        with about(*key):
            task = StudyTask(cluster, body)
            self._tasks[key] = task
            self._runs[key] = asyncio.create_task(task.run(), name=f"study {key[0]}/{key[1]}")
            log.info("%s/%s: taken up", *key)

    def _end(self, key: Key) -> None:
        """Stops a study's task and, apart from it, ends the study's pods."""
        task = self._tasks.pop(key, None)
        run = self._runs.pop(key, None)
        if task is None or run is None or self._cluster is None:
            return
        self._cluster.metrics.studies.end(*key)
        with about(*key):
            ending = asyncio.create_task(_end_study(task, run), name=f"end of {key[0]}/{key[1]}")
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)

    async def audit(self, client: Client) -> None:
        """Compares the tasks with the studies that are there, now and then.

        kopf lists again after an expired watch but never tells of the deletions it missed.
        """
        while True:
            await asyncio.sleep(AUDIT_SECONDS)
            try:
                await self.compare(client)
                self._warn_of_silence()
            except KubernetesError as error:
                log.info("the audit has to wait: %s", error)
            except Exception:
                log.exception("the audit failed")

    def _warn_of_silence(self) -> None:
        if self._cluster is None:
            return
        for what, informer in (("pods", self._cluster.pods), ("trials", self._cluster.trials)):
            if informer.stale:
                log.warning("nothing was heard of %s for %.0f s", what, informer.age)

    async def compare(self, client: Client) -> None:
        """Ends the tasks of studies that are not there any more."""
        known = dict(self._tasks)  # before the list: what comes after it is none of its business
        if not known:
            return
        there = set()
        async for page in client.pages(STUDIES, Object, self.namespace):
            there |= {item.metadata.uid for item in page.items}
        for key, task in known.items():
            if task.uid not in there and self._tasks.get(key) is task:
                with about(*key):
                    log.info("%s/%s: gone without an event", *key)
                self._end(key)

    async def stop(self) -> None:
        """Ends all tasks and takes up no more; studies, trials and pods stay as they are."""
        cluster, self._cluster = self._cluster, None
        runs = [*self._runs.values(), *self._endings]
        for run in runs:
            run.cancel()
        await asyncio.gather(*runs, return_exceptions=True)
        self._tasks.clear()
        self._runs.clear()
        if cluster is not None:
            cluster.metrics.studies.clear(self.namespace)

    def waiting(self) -> tuple[int, int]:
        """How many studies have been woken and are not done, and how many trials they look at."""
        backlogs = [task.backlog for task in self._tasks.values()]
        return sum(woken for woken, _ in backlogs), sum(trials for _, trials in backlogs)


async def _end_study(task: StudyTask, run: asyncio.Task[None]) -> None:
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)
    for attempt in range(END_ATTEMPTS):
        try:
            await task.end_pods()
            log.info("%s: deleted, its pods are ended", task)
            return
        except KubernetesError as error:
            log.warning("%s: ending its pods: %s", task, error)
            await asyncio.sleep(2.0**attempt)
        except Exception:  # the garbage collector will do it, more slowly
            log.exception("%s: ending its pods", task)
            return
