"""What all studies of an operator share."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from hyperband.backends.kubernetes.breath import Breath
from hyperband.backends.kubernetes.client import Client
from hyperband.backends.kubernetes.informer import Informer
from hyperband.backends.kubernetes.objects import Object, Pod
from hyperband.backends.kubernetes.pace import Pace
from hyperband.backends.kubernetes.sidecar import SIDECAR_IMAGE
from hyperband.backends.kubernetes.telemetry.metrics import Metrics
from hyperband.backends.kubernetes.workers import Workers

STATUSES_A_SECOND = 16.0  # 20 are promised, and four may be late on their way


@dataclass(frozen=True)
class Cluster:
    """The API server, what is known of its objects, the clocks, long work, and metrics."""

    client: Client
    pods: Informer[Pod]  # indexed by namespace and uid of the controlling owner
    trials: Informer[Object]  # the same
    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    workers: Workers
    metrics: Metrics = field(default_factory=Metrics)
    sidecar_image: str = SIDECAR_IMAGE  # where a study has a sidecar and does not say which
    statuses: Pace = field(default_factory=lambda: Pace(STATUSES_A_SECOND))
    breath: Breath = field(default_factory=Breath)
