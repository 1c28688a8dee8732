"""Removes the checkpoints of trials that can never be resumed, by a pod that mounts the volume.

The operator itself mounts nothing. A pod of the study's own, one at a time, removes the folders of
the trials that its annotation lists; it holds no GPU and no slot. What was removed is known from
these pods for as long as they are there; removing a folder twice does no harm.
"""

from collections.abc import Collection, Iterable
from datetime import timedelta
from typing import Any, Final

from hyperband.api import names
from hyperband.api.environment import study_folder
from hyperband.api.owners import owner_reference
from hyperband.api.study import StudyResource
from hyperband.backends.kubernetes.api_errors import AlreadyExists, ApiError, NotFound
from hyperband.backends.kubernetes.attempts import ending, is_over, waiting_reason
from hyperband.backends.kubernetes.cluster import Cluster
from hyperband.backends.kubernetes.objects import PODS, Pod
from hyperband.backends.kubernetes.recorder import Recorder
from hyperband.backends.kubernetes.study_pods import TrialPods
from hyperband.backends.kubernetes.waits import LATE, grace
from hyperband.core.decisions import Reason
from hyperband.core.records import TrialState

BATCH: Final = 10  # folders that are worth a pod while the study runs
MOST: Final = 1_000  # folders that one pod removes: their names must fit into its arguments
TRIES: Final = 3  # that fail before an operator gives up
SECONDS: Final = 3_600  # a pod's deadline, once it runs
START_SECONDS: Final = 900.0  # until it has to run; a node may have to be added for it
PAUSE_SECONDS: Final = 60.0  # after a failure; doubled with each further one
# Nothing was ever written if the study's folder is not there. Trials' folders begin with an index.
SCRIPT: Final = """[ -e "$0" ] || exit 0
cd "$0" || exit 1
for index in "$@"; do rm -rf -- "$index"-* || exit 1; done"""
# Of the user's template: where the pod may run, and as whom.
_KEPT: Final = (
    *("nodeSelector", "affinity", "tolerations", "schedulerName", "imagePullSecrets"),
    *("securityContext", "serviceAccountName", "hostUsers"),
)


def unneeded(
    trials: Iterable[tuple[int, TrialState, str]], best: int | None, *, finished: bool
) -> set[int]:
    """The trials whose checkpoints nobody can want any more, by index.

    Args:
        trials: index, state and reason of each.
        best: the trial with the best value; whatever its state, its checkpoint stays.
        finished: whether the study is over, so that paused trials are not promoted any more.
    """
    over = {TrialState.STOPPED, TrialState.FAILED} | ({TrialState.PAUSED} if finished else set())
    kept = Reason.TARGET_REACHED.value  # what the study was for
    return {i for i, state, reason in trials if state in over and i != best and reason != kept}


def render_cleaner(study: StudyResource, number: int, indices: Collection[int]) -> dict[str, Any]:
    """The manifest of a pod that removes the folders of these trials."""
    assert study.checkpoint is not None
    template = study.template.spec
    training = template["containers"][study.template.container]
    folders = [str(index) for index in sorted(indices)]
    container: dict[str, Any] = {
        "name": "clean-up",
        "image": study.checkpoint.clean_up_image or training.get("image"),
        # In a command a doubled $ is a plain one.
        "command": [
            *("sh", "-c"),
            *(w.replace("$", "$$") for w in (SCRIPT, study_folder(study))),
            *folders,
        ],
        "resources": {
            "requests": {"cpu": "10m", "memory": "32Mi"},
            "limits": {"cpu": "500m", "memory": "128Mi"},
        },
        "volumeMounts": [
            {"name": names.CHECKPOINT_VOLUME, "mountPath": study.checkpoint.mount_path}
        ],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    container |= {k: training[k] for k in ("imagePullPolicy", "securityContext") if k in training}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": names.cleaner_name(study.name, number),
            "namespace": study.namespace,
            "labels": {**study.template.labels, names.STUDY_LABEL: study.name},
            "annotations": {names.REMOVES_ANNOTATION: " ".join(folders)},
            "ownerReferences": [owner_reference(names.STUDY_KIND, study.name, study.uid)],
        },
        "spec": {
            **{key: template[key] for key in _KEPT if key in template},
            "automountServiceAccountToken": False,
            "restartPolicy": "Never",
            "activeDeadlineSeconds": SECONDS,
            "containers": [container],
            "volumes": [{**study.checkpoint.volume, "name": names.CHECKPOINT_VOLUME}],
        },
    }


class Cleaner:
    """The pods that remove one study's checkpoints.

    Attributes:
        removed: the trials whose checkpoints are known to be gone.
    """

    def __init__(self, cluster: Cluster, recorder: Recorder) -> None:
        self._cluster, self._recorder = cluster, recorder
        self._own = TrialPods(cluster, recorder.namespace)
        self._seen: set[str] = set()  # uids of pods that have ended, or were given up
        self._failures = 0
        self._not_before = 0.0
        self.removed: set[int] = set()

    @property
    def gave_up(self) -> bool:
        """Whether another operator may have more luck."""
        return self._failures >= TRIES

    def pods(self, study: StudyResource) -> list[Pod]:
        """Those that are there, by owner and name."""
        found = self._cluster.pods.by_index((study.namespace, study.uid))
        return [pod for pod in found if _number(pod, study) is not None]

    async def step(self, study: StudyResource, unneeded: Collection[int], *, all_: bool) -> bool:
        """Takes in what pods have done, and makes the next one if it is time for it.

        Args:
            all_: also if there is little to remove.

        Returns whether there is nothing more to do, or nothing more that would work.
        """
        if study.checkpoint is None or not study.checkpoint.clean_up:
            return True
        pods = self.pods(study)
        for pod in pods:
            await self._take_in(pod)
        todo = sorted(set(unneeded) - self.removed)[:MOST]
        if not todo or self.gave_up:
            return True
        if self._cluster.monotonic() < self._not_before:
            return False
        busy = any(pod.metadata.uid not in self._seen for pod in pods)
        if not busy and (all_ or len(todo) >= BATCH):
            numbers = [_number(pod, study) or 0 for pod in pods]
            await self._create(study, 1 + max(numbers, default=-1), todo)
        return False

    async def discard(self, study: StudyResource) -> bool:
        """Deletes some of the pods that are old; True if others are left.

        To come after `step`, which learns from them.
        """
        return await self._own.discard(self.pods(study), timedelta(seconds=study.retention.pods))

    async def _take_in(self, pod: Pod) -> None:
        if pod.metadata.uid in self._seen:
            return
        if not is_over(pod):
            if self._overdue(pod):
                await self._give_up(pod)
            return
        self._seen.add(pod.metadata.uid)
        if pod.status.phase == "Succeeded":
            text = pod.metadata.annotations.get(names.REMOVES_ANNOTATION, "")
            words = (word for word in text.split() if word.isdecimal() and len(word) < 10)
            self.removed |= set(map(int, words))
            self._failures = 0
        else:
            self._fail(f"pod {pod.metadata.name}: {ending(pod).detail}")

    def _overdue(self, pod: Pod) -> bool:
        """Whether it should run by now, or its deadline has not ended it."""
        now, since = self._cluster.now(), pod.metadata.creation_timestamp
        if since is None:
            return False
        if pod.status.start_time is None or waiting_reason(pod, now) is not None:
            return now > since + timedelta(seconds=START_SECONDS)
        return now > pod.status.start_time + timedelta(seconds=SECONDS) + grace(pod) + LATE

    async def _give_up(self, pod: Pod) -> None:
        why = waiting_reason(pod, self._cluster.now())
        await self._own.delete(pod, "it has not ended in time")
        self._seen.add(pod.metadata.uid)
        said = f" ({why[0]}: {why[1]})" if why is not None else ""
        self._fail(f"pod {pod.metadata.name} has not ended in time{said}")

    async def _create(self, study: StudyResource, number: int, indices: Collection[int]) -> None:
        body = render_cleaner(study, number, indices)
        try:
            pod = await self._cluster.client.create(PODS, study.namespace, body, Pod)
        except AlreadyExists:
            await self._meet(study, body["metadata"]["name"])
        except ApiError as error:
            self._fail(f"pod {body['metadata']['name']} was refused: {error.message}")
        else:
            self._cluster.pods.put(pod)

    async def _meet(self, study: StudyResource, name: str) -> None:
        """What to do about a pod of the name that is wanted: ours, out of sight, or another."""
        try:
            pod = await self._cluster.client.get(PODS, study.namespace, name, Pod)
        except NotFound:  # gone in between
            return
        if _number(pod, study) is not None:
            self._cluster.pods.put(pod)
        else:
            self._fail(f"pod {name} exists and is not the study's: delete it")

    def _fail(self, what: str) -> None:
        self._failures += 1
        pause = PAUSE_SECONDS * 2 ** (self._failures - 1)
        self._not_before = self._cluster.monotonic() + pause
        more = "given up until the operator restarts" if self.gave_up else "tried again later"
        self._recorder.note("CheckpointsNotRemoved", f"{what}; {more}", warning=True)


def _number(pod: Pod, study: StudyResource) -> int | None:
    """The number in the name of a pod of ours; None for any other pod."""
    owner = pod.metadata.controller
    prefix, _, number = pod.metadata.name.rpartition("-")
    ours = owner is not None and owner.uid == study.uid
    named = f"{prefix}-0" == names.cleaner_name(study.name, 0) and number.isdecimal()
    return int(number) if ours and named else None
