"""The part of Kubernetes objects that the operator reads, as frozen structs.

Fields that are not named here are skipped while parsing, which is why decoding a pod costs
microseconds. Struct fields are snake_case; in JSON they are Kubernetes' camelCase. Instants are
timezone-aware datetimes, and what is absent is None, "" or empty. Nothing here is ever written
back as a whole: a struct of a pod holds only a part of it.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from msgspec import Struct

from hyperband.api import names


@dataclass(frozen=True)
class Kind:
    """A resource of the API, by the names that its URL has. The core group is ""."""

    group: str
    version: str
    plural: str
    namespaced: bool = True

    def path(
        self, namespace: str | None = None, name: str | None = None, subresource: str | None = None
    ) -> str:
        """The URL path of the collection, or of one object, or of a part of it.

        Without a namespace the collection is that of all namespaces.

        Raises:
            ValueError: a single object of a namespaced kind without its namespace, a namespace
                for a kind without any, an empty name, which would mean the whole collection, or a
                name or namespace that the server, which decodes the path before it cuts it into
                segments, would take for more than one.
        """
        if name == "" or (name is None and subresource is not None):
            raise ValueError(f"{self.plural}: a name is needed")
        if namespace is not None and not self.namespaced:
            raise ValueError(f"{self.plural} live in no namespace, {namespace!r} was given")
        if name is not None and self.namespaced and not namespace:
            raise ValueError(f"{self.plural} {name!r}: a namespace is needed")
        for segment in (namespace, name):
            if segment in (".", "..") or (segment and set(segment) & {"/", "%"}):
                raise ValueError(f"{self.plural}: {segment!r} cannot be a part of a path")
        root = f"apis/{self.group}/{self.version}" if self.group else f"api/{self.version}"
        scope = f"namespaces/{quote(namespace, safe='')}" if namespace else ""
        parts = [root, scope, self.plural, quote(name or "", safe=""), subresource or ""]
        return "/" + "/".join(part for part in parts if part)


PODS = Kind("", "v1", "pods")
STUDIES = Kind(names.GROUP, names.VERSION, names.STUDY_PLURAL)
TRIALS = Kind(names.GROUP, names.VERSION, names.TRIAL_PLURAL)
ARCHIVES = Kind(names.GROUP, names.VERSION, names.ARCHIVE_PLURAL)
LEASES = Kind("coordination.k8s.io", "v1", "leases")


# gc=False: parsed JSON holds no reference cycles, and 10,000 cached pods should not be walked by
# every collection of the garbage collector.
class _Struct(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    pass


class OwnerReference(_Struct, frozen=True, gc=False):
    uid: str
    kind: str
    name: str
    controller: bool = False


class Metadata(_Struct, frozen=True, gc=False):
    name: str
    uid: str
    resource_version: str = ""  # empty in the answer to a dry run
    namespace: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: tuple[OwnerReference, ...] = ()
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None

    @property
    def controller(self) -> OwnerReference | None:
        """The owner that controls the object; Kubernetes allows one."""
        return next((owner for owner in self.owner_references if owner.controller), None)


class Object(_Struct, frozen=True, gc=False):
    """Anything that an informer can keep."""

    metadata: Metadata


class Resources(_Struct, frozen=True, gc=False):
    limits: dict[str, str | int] = {}


class Container(_Struct, frozen=True, gc=False):
    name: str
    resources: Resources = Resources()


class InitContainer(_Struct, frozen=True, gc=False):
    name: str
    restart_policy: str = ""

    @property
    def is_sidecar(self) -> bool:
        """Whether it runs beside the others: a kubelet restarts it, and its end means nothing."""
        return self.restart_policy == "Always"


class SchedulingGate(_Struct, frozen=True, gc=False):
    name: str


class PodSpec(_Struct, frozen=True, gc=False):
    containers: tuple[Container, ...] = ()
    init_containers: tuple[InitContainer, ...] = ()
    node_name: str | None = None
    scheduling_gates: tuple[SchedulingGate, ...] = ()
    termination_grace_period_seconds: int = 30


class Condition(_Struct, frozen=True, gc=False):
    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: datetime | None = None  # of the status


class Waiting(_Struct, frozen=True, gc=False):
    reason: str = ""
    message: str = ""


class Running(_Struct, frozen=True, gc=False):
    started_at: datetime | None = None


class Terminated(_Struct, frozen=True, gc=False):
    exit_code: int
    reason: str = ""
    message: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None


class ContainerState(_Struct, frozen=True, gc=False):
    """At most one of the three is set; none means waiting without a reason."""

    waiting: Waiting | None = None
    running: Running | None = None
    terminated: Terminated | None = None


class ContainerStatus(_Struct, frozen=True, gc=False):
    name: str
    state: ContainerState = ContainerState()
    restart_count: int = 0


class PodStatus(_Struct, frozen=True, gc=False):
    phase: str = ""
    reason: str = ""
    message: str = ""
    conditions: tuple[Condition, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()
    init_container_statuses: tuple[ContainerStatus, ...] = ()
    start_time: datetime | None = None

    def condition(self, type_: str) -> Condition | None:
        """The condition of that type, whatever its status."""
        return next((condition for condition in self.conditions if condition.type == type_), None)


class Pod(Object, frozen=True, gc=False):
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


class CustomObject(Object, frozen=True, gc=False):
    """A HyperbandTrial, HyperbandArchive or HyperbandStudy; `hyperband.api` knows what spec and
    status mean."""

    spec: dict[str, Any] = {}
    status: dict[str, Any] = {}


class LeaseSpec(_Struct, frozen=True, gc=False):
    """Empty fields are those of a Lease that nobody holds."""

    holder_identity: str = ""
    lease_duration_seconds: int = 0
    lease_transitions: int = 0
    renew_time: str = ""  # never reckoned with: that it changes is the holder's sign of life


class Lease(Object, frozen=True, gc=False):
    spec: LeaseSpec = LeaseSpec()
