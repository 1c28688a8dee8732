"""A study's pods on the server: made, found and ended, and never anybody else's."""

import logging
from collections.abc import Container, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from hyperband.api import names
from hyperband.api.study import StudyResource
from hyperband.backends.kubernetes.api_errors import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
)
from hyperband.backends.kubernetes.attempts import (
    Mark,
    attempt_number,
    is_ending,
    is_over,
    mark,
    usage,
)
from hyperband.backends.kubernetes.cluster import Cluster
from hyperband.backends.kubernetes.hands import FEW, for_each
from hyperband.backends.kubernetes.objects import PODS, Object, Pod
from hyperband.backends.kubernetes.render import render_pod
from hyperband.backends.kubernetes.store import ForeignObjectError
from hyperband.backends.kubernetes.waits import LATE, grace
from hyperband.core.records import Trial
from hyperband.core.rungs import Ladder

log = logging.getLogger(__name__)

DISCARDED = 25  # pods deleted before other work of their study has a turn
MAX_WHY = 1000  # characters of an annotation that says why a pod was ended


@dataclass(frozen=True, slots=True)
class Found:
    """What became of a pod that was out of sight.

    Attributes:
        last: the pod as it was last seen, if it is over or gone and anybody has seen it.
        stray: the living pod, if it has lost its label.
        in_sight: whether it is there as it should be.
    """

    last: Pod | None = None
    stray: Pod | None = None
    in_sight: bool = False


def gone_trials(cluster: Cluster, namespace: str, study: str, known: Container[str]) -> set[str]:
    """The uids of trial objects that are not there any more, while pods of them still live.

    Args:
        study: its name; it or one of the same name before it has made them.
        known: the uids of the study's trials, as they were read just now.
    """
    gone = set()
    for pod in cluster.pods:
        owner = pod.metadata.controller
        if owner is None or owner.kind != names.TRIAL_KIND or owner.uid in known:
            continue
        ours = pod.metadata.namespace == namespace and owner.name.rpartition("-")[0] == study
        if ours and not is_over(pod):
            there = cluster.trials.get(namespace, owner.name)
            if there is None or there.metadata.uid != owner.uid:
                gone.add(owner.uid)
    return gone


class TrialPods:
    """The pods of one namespace's trials, by the uid of the trial object that controls them."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster, self._namespace = cluster, namespace
        self._discarded: set[str] = set()  # uids of pods whose deletion was not seen yet

    def of(self, trial_uid: str) -> list[Pod]:
        """The pods of a trial that are in sight, in no order: by owner and name, not by labels."""
        pods = self._cluster.pods.by_index((self._namespace, trial_uid))
        return [pod for pod in pods if attempt_number(pod) is not None]

    async def delete(self, pod: Pod, why: str) -> None:
        """Ends a pod, with its grace period; one that is ending or over is left alone."""
        if not is_ending(pod) and not is_over(pod):
            await self._remove(pod, why)

    async def _remove(self, pod: Pod, why: str) -> bool:
        """Deletes a pod; False if the server refuses it for a conflict: it may be there still."""
        metadata = pod.metadata
        log.info("%s/%s: deleting the pod: %s", metadata.namespace, metadata.name, why)
        try:
            await self._cluster.client.delete(
                PODS, metadata.namespace, metadata.name, uid=metadata.uid
            )
        except NotFound:
            log.debug("pod %s is gone", metadata.name)
        except Conflict:  # as a rule another pod of that name: not ours to end
            log.debug("pod %s is another one", metadata.name)
            return False
        return True

    async def discard(self, pods: Iterable[Pod], keep: timedelta) -> bool:
        """Deletes some of the pods that ended longer ago than that; True if others are left."""
        now = self._cluster.now()
        old = {p.metadata.uid: p for p in pods if not is_ending(p) and _since_end(p, now) > keep}
        self._discarded &= old.keys()
        left = [pod for uid, pod in old.items() if uid not in self._discarded]
        part, why = left[:DISCARDED], "it has been kept for long enough"

        async def remove(pod: Pod) -> None:
            if await self._remove(pod, why):
                self._discarded.add(pod.metadata.uid)

        await for_each(part, remove, FEW)
        return len(left) > len(part)

    async def delete_all(self, trial_uids: Iterable[str], why: str) -> None:
        """Ends all pods of these trials."""
        pods = [pod for uid in trial_uids for pod in self.of(uid)]
        await for_each(pods, lambda pod: self.delete(pod, why), FEW)


class StudyPods(TrialPods):
    """The pods of one study's trials: also made, and asked for at the server.

    Attributes:
        study: as its spec was last read.
    """

    def __init__(self, cluster: Cluster, study: StudyResource) -> None:
        super().__init__(cluster, study.namespace)
        self.study = study

    async def create(self, trial: Trial, trial_uid: str, ladder: Ladder) -> Pod:
        """Makes the pod of the trial's current attempt, or gives the one that is there.

        Raises:
            ForeignObjectError: a pod of that name is there that the trial does not own.
            AlreadyExists: one was there and is gone again.
            ApiError: the server refuses the pod.
        """
        body = render_pod(self.study, trial, trial_uid, ladder, self._cluster.sidecar_image)
        name = body["metadata"]["name"]
        try:
            pod = await self._cluster.client.create(PODS, self.study.namespace, body, Pod)
        except AlreadyExists:
            found = await self.ask(name)
            if found is None:  # gone in between
                raise
            pod = self.check_owner(found, trial_uid)
        if not is_stray(pod):
            self._cluster.pods.put(pod)
        return pod

    async def end(self, pod: Pod, why: str) -> None:
        """Ends a pod, with its grace period, and leaves its log readable if the study wants that.

        A deadline that has passed ends a pod as its deletion does, but keeps it; it works only
        through a living kubelet, so that a pod that does not obey it is deleted after all.
        """
        if is_ending(pod) or is_over(pod):
            return
        now, ended = self._cluster.now(), mark(pod)
        if ended is not None and ended.time > now + LATE:  # forged, or by a clock that ran ahead
            ended = None
        if ended is not None and now <= ended.time + grace(pod) + LATE:
            return
        if ended is not None or not self.study.retention.logs or pod.status.start_time is None:
            await self.delete(pod, why)
            return
        metadata = pod.metadata
        log.info("%s/%s: ending the pod: %s", metadata.namespace, metadata.name, why)
        change = {
            "metadata": {
                "uid": metadata.uid,
                "annotations": {names.ENDED_ANNOTATION: str(Mark(now, why[:MAX_WHY]))},
            },
            "spec": {"activeDeadlineSeconds": 1},
        }
        try:
            patched = await self._cluster.client.patch(
                PODS, metadata.namespace, metadata.name, change, Pod
            )
        except NotFound:
            log.debug("pod %s is gone", metadata.name)
        except (Forbidden, Invalid) as error:  # another uid, or a policy that lets no spec change
            log.info("%s/%s: %s", metadata.namespace, metadata.name, error)
            await self.delete(pod, why)
        else:
            if not is_stray(patched):
                self._cluster.pods.put(patched)

    async def ask(self, name: str) -> Pod | None:
        """Asks the server for a pod, in sight or not, whoever's it is; None if there is none."""
        try:
            return await self._cluster.client.get(PODS, self.study.namespace, name, Pod)
        except NotFound:
            return None

    async def search(self, name: str, trial_uid: str, last: Pod | None) -> Found:
        """What became of a pod that is out of sight.

        A watch tells of a lost label as of a deletion, so the server is asked before another pod
        is made: two must never write one checkpoint.

        Args:
            last: the pod as it was when last seen; None if nobody saw it go.

        Raises:
            ForeignObjectError: a living pod of that name is there that the trial does not own.
        """
        if last is not None and is_over(last):
            return Found(last)
        found = await self.ask(name)
        if found is None or (last is not None and found.metadata.uid != last.metadata.uid):
            return Found(last)
        if owner_uid(found) != trial_uid:
            if not is_over(found):
                self.check_owner(found, trial_uid)
            return Found(last)
        if is_over(found):
            return Found(found)
        if is_stray(found):
            return Found(stray=found)
        self._cluster.pods.put(found)
        return Found(in_sight=True)

    def check_owner(self, pod: Pod, trial_uid: str) -> Pod:
        """The pod.

        Raises:
            ForeignObjectError: the trial does not own it, so it is not ours to end.
        """
        if owner_uid(pod) != trial_uid:
            mend = (
                "it is being deleted, which is waited for"
                if is_ending(pod)
                else "delete it, or give the study another name"
            )
            raise ForeignObjectError(
                f"pod {pod.metadata.name} exists and is not owned by its trial; {mend}"
            )
        return pod


def owner_uid(object_: Object) -> str | None:
    """The uid of the controlling owner."""
    owner = object_.metadata.controller
    return owner.uid if owner else None


def owner_key(object_: Object) -> tuple[str, str] | None:
    """The namespace and the uid of the controlling owner, for an index.

    Owners are in the namespace of what they own. A uid alone would let somebody's pod in another
    namespace pass for the attempt of a trial, until the garbage collector comes.
    """
    uid = owner_uid(object_)
    return None if uid is None else (object_.metadata.namespace, uid)


def _since_end(pod: Pod, now: datetime) -> timedelta:
    """How long ago the pod ended; negative if it has not."""
    ended = usage(pod, ()).ended
    if ended is None and is_over(pod):  # nobody has said when, and there is no log to keep
        marked = mark(pod)
        ended = marked.time if marked else pod.metadata.creation_timestamp
    return timedelta(-1) if ended is None else now - ended


def is_stray(pod: Pod) -> bool:
    """Whether the pod has lost the label by which pods are watched: its news do not reach us."""
    return names.STUDY_LABEL not in pod.metadata.labels
