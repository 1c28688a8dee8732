"""The schema of what a trial's pod is made from: template, checkpoint, reporting, GPUs."""

from typing import Final

from hyperband.api import names
from hyperband.api.schema.build import OPEN, Schema, choice, many, record, rule, table, text

REPORTING_MODES: Final = ("Direct", "Sidecar", "Manual")
STRAY_IMAGE: Final = (
    "means nothing to mode %s, which has no sidecar: leave image out, or use mode Sidecar"
)
DEFAULT_GPU_RESOURCES: Final = ("nvidia.com/gpu",)
DEFAULT_CHECKPOINT_PATH: Final = "/checkpoint"

LABEL_VALUE: Final = r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$"
QUALIFIED_NAME: Final = (
    r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
)
MAX_CONTAINERS: Final = 20


def _not_reserved(example: str) -> Schema:
    return rule(
        f"!self.exists(k, k.startsWith('{names.GROUP}/'))",
        f"%s begins with {names.GROUP}/, which the operator sets itself: remove it, or use "
        f"one of your own such as {example}",
        f"self.filter(k, k.startsWith('{names.GROUP}/'))[0]",
    )


CHECKPOINT: Final = record(
    "Storage that outlives a pod. Each trial has a folder of its own below `mountPath`, the same "
    "for all its attempts, and finds it in HYPERBAND_CHECKPOINT_DIR. Without a checkpoint, trials "
    "that are promoted or disrupted train from scratch.",
    {
        "volume": {
            "description": "The source of the volume, as in a pod's `volumes` but without a name: "
            "exactly one of persistentVolumeClaim, nfs, hostPath, csi … It must be mountable by "
            "several pods at once, on every node that trials run on.",
            "type": "object",
            OPEN: True,
        },
        "mountPath": text(
            "Where the volume is mounted in the training container: an absolute path at which the "
            "template mounts nothing itself.",
            default=DEFAULT_CHECKPOINT_PATH,
            maxLength=1024,
            pattern=r"^/[^:]*[^:/][^:]*$",
        ),
        "cleanUp": choice(
            "Keep (default): checkpoints are yours to remove. Remove: the operator removes the "
            "folders of trials that can never be resumed: Stopped and Failed ones and, once the "
            "study has finished, Paused ones. Those of Completed trials, of the best one and of "
            "one that has reached a target stay. It mounts no volume for that, but runs a pod that "
            "does. May be changed at any time.",
            ("Keep", "Remove"),
            default="Keep",
        ),
        "cleanUpImage": text(
            "Image of that pod: it needs `sh` and `rm`. Default: the image of the training "
            "container. May be changed at any time.",
            minLength=1,
            maxLength=1024,
        ),
    },
    required=("volume",),
    rules=[
        rule(
            "self.mountPath == oldSelf.mountPath",
            "spec.checkpoint.mountPath cannot change while the study exists: create a new study "
            "(delete this one, or take another name)",
            field=".mountPath",
        )
    ],
)

REPORTING: Final = record(
    "How metrics get from the training container to the operator. Does not change once the study "
    "exists.",
    {
        "mode": choice(
            "Direct (default): the training writes its pod's annotation itself, with the token "
            f"that the operator mounts for it (service account {names.REPORTER_SERVICE_ACCOUNT} "
            "unless the template names another). Sidecar: the training appends lines of JSON to "
            f"the file {names.ENV_REPORT_FILE}, and a container beside it, which alone has the "
            "token, writes the annotation. Manual: nothing is mounted; whatever else may "
            f"patch the pod writes the annotation {names.METRICS_ANNOTATION}.",
            REPORTING_MODES,
            default="Direct",
        ),
        "image": text(
            "Image of the sidecar, with mode Sidecar. Default: that of the operator's "
            "installation.",
            minLength=1,
            maxLength=1024,
        ),
    },
    default={"mode": "Direct"},
    rules=[
        rule(
            "!has(self.image) || self.mode == 'Sidecar'",
            STRAY_IMAGE,
            "self.mode",
            field=".image",
        ),
        rule(
            "self == oldSelf",
            "spec.reporting cannot change while the study exists: create a new study "
            "(delete this one, or take another name)",
        ),
    ],
)

GPU_RESOURCES: Final = many(
    "Names of the extended resources that count as a GPU where GPU time is added up. Does not "
    "change once the study exists.",
    text("Name of a resource, e.g. nvidia.com/gpu.", maxLength=253, pattern=QUALIFIED_NAME),
    rules=[
        rule(
            "self == oldSelf",
            "spec.gpuResources cannot change while the study exists: create a new study "
            "(delete this one, or take another name)",
        )
    ],
    unique=True,
    default=list(DEFAULT_GPU_RESOURCES),
    maxItems=16,
)

_CONTAINER: Final[Schema] = {
    "description": "A container, as in any pod.",
    "type": "object",
    "required": ["name"],
    OPEN: True,
    "properties": {"name": text("Name of the container.", minLength=1, maxLength=63)},
}

_POD_SPEC: Final = record(
    "The pod that trains, as a core/v1 PodSpec (`kubectl explain pod.spec`). Ask here for GPUs, "
    "memory and nodes. The operator adds environment variables, the checkpoint volume and the "
    "reporter's token; before the first trial it asks the API server whether it would take the "
    "pod.",
    {
        "containers": many(
            "The containers of the pod. The first one trains, unless the template's annotation "
            f"{names.CONTAINER_ANNOTATION} names another.",
            _CONTAINER,
            minItems=1,
            maxItems=MAX_CONTAINERS,
        ),
        "restartPolicy": text(
            "Never, which the operator sets: it repeats failed attempts itself, from their "
            "checkpoint (see failurePolicy)."
        ),
    },
    required=("containers",),
    rules=[
        rule(
            "!has(self.restartPolicy) || self.restartPolicy == 'Never'",
            "%s would restart containers behind the operator's back: remove restartPolicy, the "
            "operator repeats failed attempts itself (failurePolicy.retries)",
            "self.restartPolicy",
            field=".restartPolicy",
        ),
    ],
    **{OPEN: True},
)

_METADATA: Final = record(
    "Labels and annotations of the trial's pods, beside those of the operator.",
    {
        "labels": table(
            f"Labels for the pods. Those that begin with {names.GROUP}/ are the operator's.",
            text("Value of the label.", maxLength=63, pattern=LABEL_VALUE),
            maxProperties=64,
            **{"x-kubernetes-validations": [_not_reserved("team")]},
        ),
        "annotations": table(
            f"Annotations for the pods. Those that begin with {names.GROUP}/ are the operator's; "
            f"{names.CONTAINER_ANNOTATION} names the container that trains.",
            text("Value of the annotation.", maxLength=65536),
            maxProperties=64,
            **{"x-kubernetes-validations": [_not_reserved("team.example/owner")]},
        ),
    },
)

_DEFAULT_CONTAINER = f"self.metadata.annotations['{names.CONTAINER_ANNOTATION}']"

TEMPLATE: Final = record(
    "What the pod of every trial is made from. Does not change once the study exists, so that "
    "all trials are comparable.",
    {"metadata": _METADATA, "spec": _POD_SPEC},
    required=("spec",),
    rules=[
        rule(
            "!has(self.metadata) || !has(self.metadata.annotations) || "
            f"!('{names.CONTAINER_ANNOTATION}' in self.metadata.annotations) || "
            f"self.spec.containers.exists(c, c.name == {_DEFAULT_CONTAINER})",
            f"annotation {names.CONTAINER_ANNOTATION} names container %s, which the template "
            "does not have: name one of spec.containers, or remove the annotation",
            _DEFAULT_CONTAINER,
            field=".metadata.annotations",
        )
    ],
)
