"""What the operator tells a training container, read from its environment variables.

The names are those of `hyperband.api.names`, copied so that this package stands alone; a test
compares them.
"""

import json
import os
from pathlib import Path
from typing import Any

from hyperband.report import _signals

METRICS_ANNOTATION = "hyperband.dev/metrics"
MAX_METRICS_BYTES = 64 * 1024
REPORTER_SERVICE_ACCOUNT = "hyperband-reporter"
TOKEN_MOUNT = "/var/run/secrets/hyperband.dev"

ENV_PARAMETERS = "HYPERBAND_PARAMETERS"
ENV_RESOURCE_FROM = "HYPERBAND_RESOURCE_FROM"
ENV_RESOURCE_TO = "HYPERBAND_RESOURCE_TO"
ENV_RUNGS = "HYPERBAND_RUNGS"
ENV_CHECKPOINT_DIR = "HYPERBAND_CHECKPOINT_DIR"
ENV_ATTEMPT = "HYPERBAND_ATTEMPT"
ENV_POD_NAME = "HYPERBAND_POD_NAME"
ENV_POD_NAMESPACE = "HYPERBAND_POD_NAMESPACE"
ENV_RESOURCE_NAME = "HYPERBAND_RESOURCE_NAME"
ENV_METRIC = "HYPERBAND_METRIC"

# JSON lines go there instead of to the API server: the operator sets it where a sidecar sends them,
# and whoever runs the script by hand may.
ENV_REPORT_FILE = "HYPERBAND_REPORT_FILE"
ENV_FLUSH_SECONDS = "HYPERBAND_FLUSH_SECONDS"  # of the sidecar: what is left of the grace period

# Not from the operator: whoever runs the script may set these.
ENV_REPORT_INTERVAL = "HYPERBAND_REPORT_INTERVAL"  # seconds between reports below rung levels
ENV_TOKEN_MOUNT = "HYPERBAND_TOKEN_MOUNT"  # another folder with token, ca.crt and namespace

MAX_INTERVAL = 3600.0
DEFAULT_INTERVAL = 10.0  # each report is a write to etcd, and there may be 10,000 pods


def entered() -> None:
    """A script uses this package: from its first call on, SIGTERM ends it where it is in a pod."""
    if ENV_POD_NAME in os.environ:
        _signals.exit_on_sigterm()


def parameters(**defaults: Any) -> dict[str, Any]:
    """The trial's hyperparameters by name; inactive ones are not among them.

    Args:
        defaults: values for a run by hand, and for parameters that this trial leaves inactive.
    """
    entered()
    return {**defaults, **json.loads(os.environ.get(ENV_PARAMETERS, "{}"))}


def resource_from() -> float:
    """The resource (e.g. epochs) at the trial's last recorded rung; 0 for a new trial.

    A checkpoint may be further than this, or missing: trust `resume_from()` instead.
    """
    return _number(os.environ.get(ENV_RESOURCE_FROM, "0"))


def resource_target(default: float | None = None) -> float:
    """The resource to train up to: report it, then exit with 0. An int where it is whole.

    Args:
        default: the target of a run by hand.

    Raises:
        RuntimeError: run by hand, without a default.
    """
    entered()
    text = os.environ.get(ENV_RESOURCE_TO)
    if text is not None:
        return _number(text)
    if default is None:
        raise RuntimeError(
            f"{ENV_RESOURCE_TO} is not set: set it, or call resource_target(default)"
        )
    return default


def resource_name() -> str | None:
    """The name of the resource in reports, None in a run by hand."""
    return os.environ.get(ENV_RESOURCE_NAME)


def metric_name() -> str | None:
    """The name of the study's objective, None in a run by hand."""
    return os.environ.get(ENV_METRIC)


def levels() -> tuple[float, ...]:
    """The trial's rung levels in ascending order; none in a run by hand."""
    return tuple(float(level) for level in json.loads(os.environ.get(ENV_RUNGS, "[]")))


def attempt() -> int:
    """Which of the trial's attempts this is; 0 in a run by hand."""
    return int(os.environ.get(ENV_ATTEMPT, "0"))


def interval() -> float:
    """Seconds between two reports that are not urgent, at most an hour."""
    given = float(os.environ.get(ENV_REPORT_INTERVAL, DEFAULT_INTERVAL))
    return min(given, MAX_INTERVAL)


def token_mount() -> Path:
    """Where the reporter's token is mounted, by the operator unless the user has his own."""
    return Path(os.environ.get(ENV_TOKEN_MOUNT, TOKEN_MOUNT))


def _number(text: str) -> float:
    number = float(text)
    return int(number) if number.is_integer() else number
