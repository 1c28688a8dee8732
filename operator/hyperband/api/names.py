"""Names that others see and rely on: groups, labels, annotations, environment variables."""

GROUP = "hyperband.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
STUDY_KIND = "HyperbandStudy"
STUDY_PLURAL = "hyperbandstudies"
TRIAL_KIND = "HyperbandTrial"
TRIAL_PLURAL = "hyperbandtrials"
ARCHIVE_KIND = "HyperbandArchive"
ARCHIVE_PLURAL = "hyperbandarchives"

# Labels of trials, archives and pods. The operator asks the server for objects with STUDY_LABEL
# only.
STUDY_LABEL = f"{GROUP}/study"
TRIAL_LABEL = f"{GROUP}/trial"  # the trial's index
ATTEMPT_LABEL = f"{GROUP}/attempt"

METRICS_ANNOTATION = f"{GROUP}/metrics"
MAX_METRICS_BYTES = 64 * 1024  # of the annotation; the API server takes 256 KiB for all together

# Of a pod that the operator has ended: when (RFC 3339), a space, and why.
ENDED_ANNOTATION = f"{GROUP}/ended"

# Of a pod that removes checkpoints: the indices of their trials, with spaces between.
REMOVES_ANNOTATION = f"{GROUP}/removes"

# The container that trains, where a template has several: this annotation of the template names
# it, else it is the first one.
CONTAINER_ANNOTATION = "kubectl.kubernetes.io/default-container"

# What autoscalers read of a pod: whether it may be evicted so that its node can go.
SAFE_TO_EVICT = "cluster-autoscaler.kubernetes.io/safe-to-evict"
DO_NOT_DISRUPT = "karpenter.sh/do-not-disrupt"
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"  # Kueue holds such a pod back until its queue admits it

REPORTER_SERVICE_ACCOUNT = "hyperband-reporter"  # of trial pods whose template names none
TOKEN_MOUNT = "/var/run/secrets/hyperband.dev"  # token, ca.crt and namespace, for the reporter

# Of what the operator adds to a pod; a template's own have other names.
RESERVED_PREFIX = "hyperband-"
TOKEN_VOLUME = "hyperband-reporter"
CHECKPOINT_VOLUME = "hyperband-checkpoint"
REPORT_VOLUME = "hyperband-report"
SIDECAR = "hyperband-sidecar"  # the container that follows REPORT_FILE
REPORT_MOUNT = "/var/run/hyperband.dev/report"
REPORT_FILE = f"{REPORT_MOUNT}/metrics.jsonl"

# What a training container is given (design, section 5).
ENV_PARAMETERS = "HYPERBAND_PARAMETERS"
ENV_PARAMETER_PREFIX = "HYPERBAND_PARAM_"
ENV_RESOURCE_FROM = "HYPERBAND_RESOURCE_FROM"
ENV_RESOURCE_TO = "HYPERBAND_RESOURCE_TO"
ENV_RUNGS = "HYPERBAND_RUNGS"  # JSON list of the trial's own levels, ascending
ENV_CHECKPOINT_DIR = "HYPERBAND_CHECKPOINT_DIR"
ENV_STUDY = "HYPERBAND_STUDY"
ENV_TRIAL = "HYPERBAND_TRIAL"
ENV_ATTEMPT = "HYPERBAND_ATTEMPT"
ENV_POD_NAME = "HYPERBAND_POD_NAME"
ENV_POD_NAMESPACE = "HYPERBAND_POD_NAMESPACE"
ENV_RESOURCE_NAME = "HYPERBAND_RESOURCE_NAME"
ENV_METRIC = "HYPERBAND_METRIC"
ENV_REPORT_FILE = "HYPERBAND_REPORT_FILE"  # with reporting mode Sidecar
ENV_FLUSH_SECONDS = "HYPERBAND_FLUSH_SECONDS"  # for the sidecar alone

# What Kubernetes takes as a name: parts of lower-case letters, digits and dashes between dots.
_PART = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
NAME_PATTERN = rf"^{_PART}(\.{_PART})*$"
MAX_STUDY_NAME = 40  # a pod's name and a label value must fit in 63 characters

# Leases: of operators for all namespaces, and of those for the namespace that it is in.
LEASE = "hyperband-operator"
NAMESPACE_LEASE = "hyperband-namespace-operator"
# On a Lease: the process that asks its holder for it, or that it was given to.
WANTED_ANNOTATION = f"{GROUP}/wanted-by"


def trial_name(study: str, index: int) -> str:
    """The name of a trial object."""
    return f"{study}-{index}"


def archive_name(study: str, chunk: int) -> str:
    """The name of an archive object."""
    return f"{study}-archive-{chunk}"


def pod_name(study: str, index: int, attempt: int) -> str:
    """The name of an attempt's pod."""
    return f"{study}-{index}-{attempt}"


def cleaner_name(study: str, number: int) -> str:
    """The name of a pod that removes checkpoints."""
    return f"{study}-cleanup-{number}"
