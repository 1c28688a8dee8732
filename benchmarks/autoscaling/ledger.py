"""Who paid for GPUs and who used them, from what two watches tell. Pure: times are given.

Everything is counted here from the objects themselves, apart from the operator's own account, with
which it is compared.
"""

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime

from msgspec import Struct

from benchmarks.autoscaling.machines import CAPACITY_LABEL, GPU, SPOT, TYPE_LABEL, TYPES
from hyperband.api import names
from hyperband.backends.kubernetes.attempts import is_ending, is_over, usage
from hyperband.backends.kubernetes.objects import Object, Pod

# A pod is made by what the operator has seen, which may be so much older than what a watch tells.
SIGHT_SECONDS = 5.0


class NodeClaimStatus(Struct, frozen=True, rename="camel"):
    node_name: str = ""


class NodeClaim(Object, frozen=True):
    """Karpenter's record of a machine, from before its launch to after its end."""

    status: NodeClaimStatus = NodeClaimStatus()


@dataclass
class Machine:
    """Times are seconds since 1970; what is used are GPU-seconds of its pods."""

    created: float
    gpus: int = 0
    spot: bool = False
    first_use: float | None = None
    last_use: float | None = None
    used: float = 0.0
    deleted: float | None = None

    def paid(self, now: float) -> float:
        """GPU-seconds."""
        return ((self.deleted or now) - self.created) * self.gpus


@dataclass
class Run:
    """A pod's time on its node."""

    node: str
    began: float


@dataclass(frozen=True)
class Idle:
    """GPU-seconds that were paid and not used, by when."""

    booting: float  # before a machine's first pod
    between: float  # beside and between its pods
    leaving: float  # after its last pod


@dataclass
class Ledger:
    """Told of each change, in order.

    Args:
        initial_pods: the bound on pods without a node, where fewer have one.

    Attributes:
        machines: by the name of the NodeClaim.
        most_waiting: pods without a node at once, as a scheduler has to deal with them.
        most_unschedulable: those of them of which it has said so.
        beyond: names of pods that were made although too many waited.
        waited: seconds of pods without a node.
        attempts: uids of pods by name; more than one, and an attempt was made twice.
        accounts: by pod name the GPU-seconds by the pod's own times, and whether its end was told.
        growing: what had been paid and used when the last new trial came; after that the study has
            less and less to do.
    """

    initial_pods: int
    machines: dict[str, Machine] = field(default_factory=dict)
    most_waiting: int = 0
    most_unschedulable: int = 0
    beyond: list[str] = field(default_factory=list)
    waited: float = 0.0
    attempts: dict[str, set[str]] = field(default_factory=dict)
    accounts: dict[str, tuple[float, bool]] = field(default_factory=dict)
    growing: tuple[float, float] = (0.0, 0.0)
    _nodes: dict[str, str] = field(default_factory=dict)  # NodeClaim by node
    _runs: dict[str, Run] = field(default_factory=dict)  # by the pod's uid
    _waiting: dict[str, float] = field(default_factory=dict)  # since when
    _unschedulable: set[str] = field(default_factory=set)
    _placed: set[str] = field(default_factory=set)
    _lately: deque[tuple[float, int]] = field(default_factory=deque)  # how many were placed

    def __str__(self) -> str:
        gpus = sum(self.machines[name].gpus for name in self.rented)
        rented = f"{len(self.rented)} machines with {gpus} GPUs"
        waiting = f"{len(self._waiting)} wait for a node, {len(self._unschedulable)} were refused"
        return f"{rented}; of {len(self.attempts)} pods {len(self._runs)} run, {waiting}"

    # -- machines -------------------------------------------------------------------------------

    def claim(self, claim: NodeClaim, now: float) -> None:
        """A machine is wanted, or more is known of it."""
        machine = self.machines.setdefault(claim.metadata.name, Machine(now))
        machine.gpus = TYPES.get(claim.metadata.labels.get(TYPE_LABEL, ""), 0)
        machine.spot = claim.metadata.labels.get(CAPACITY_LABEL) == SPOT
        if claim.status.node_name:
            self._nodes[claim.status.node_name] = claim.metadata.name

    def claim_gone(self, name: str, now: float) -> None:
        """A machine is given back."""
        self.machines[name].deleted = now

    @property
    def rented(self) -> list[str]:
        """The machines that are paid for just now."""
        return [name for name, each in self.machines.items() if each.deleted is None]

    # -- pods -----------------------------------------------------------------------------------

    def pod(self, pod: Pod, now: float) -> None:
        """A trial's pod is new, or has changed."""
        uid, name = pod.metadata.uid, pod.metadata.name
        is_new = uid not in self.attempts.setdefault(name, set())
        self.attempts[name].add(uid)
        self._follow_waiting(pod, now)
        if is_new and self._waiting and len(self._waiting) > self._allowed(now):
            self.beyond.append(name)
        if is_new and pod.metadata.labels.get(names.ATTEMPT_LABEL) == "0":
            running = sum(now - run.began for run in self._runs.values())
            self.growing = (self.paid(now), self.used + running)
        if pod.status.start_time is not None:
            if not is_over(pod):
                self._began(pod, now)
            elif uid in self._runs:
                self._ended(pod, now, told=True)

    def pod_gone(self, pod: Pod, now: float) -> None:
        """A pod is not there any more."""
        uid = pod.metadata.uid
        self._leave_queue(uid, now)
        self._placed.discard(uid)
        if uid in self._runs:
            self._ended(pod, now, told=is_over(pod))

    def _follow_waiting(self, pod: Pod, now: float) -> None:
        uid = pod.metadata.uid
        alive, gated = not (is_over(pod) or is_ending(pod)), bool(pod.spec.scheduling_gates)
        if alive and not gated and pod.spec.node_name is None:
            self._waiting.setdefault(uid, now)
            scheduled = pod.status.condition("PodScheduled")
            if scheduled is not None and scheduled.status == "False":
                self._unschedulable.add(uid)
        else:
            self._leave_queue(uid, now)
        if alive and pod.spec.node_name is not None:
            self._placed.add(uid)
        else:
            self._placed.discard(uid)
        self._lately.append((now, len(self._placed)))
        self.most_waiting = max(self.most_waiting, len(self._waiting))
        self.most_unschedulable = max(self.most_unschedulable, len(self._unschedulable))

    def _leave_queue(self, uid: str, now: float) -> None:
        self.waited += now - self._waiting.pop(uid, now)
        self._unschedulable.discard(uid)

    def _allowed(self, now: float) -> int:
        while self._lately and self._lately[0][0] < now - SIGHT_SECONDS:
            self._lately.popleft()
        return max(self.initial_pods, *(count for _, count in self._lately))

    def _began(self, pod: Pod, now: float) -> None:
        node = pod.spec.node_name or ""
        if pod.metadata.uid not in self._runs:
            self._runs[pod.metadata.uid] = Run(node, now)
            machine = self._machine(node)
            if machine is not None and machine.first_use is None:
                machine.first_use = now

    def _ended(self, pod: Pod, now: float, *, told: bool) -> None:
        run = self._runs.pop(pod.metadata.uid)
        machine = self._machine(run.node)
        if machine is not None:
            machine.used += now - run.began
            machine.last_use = now
        seconds = usage(pod, (GPU,)).gpu_seconds(datetime.fromtimestamp(now, UTC))
        self.accounts[pod.metadata.name] = (seconds, told)

    def _machine(self, node: str) -> Machine | None:
        return self.machines.get(self._nodes.get(node, ""))

    # -- the sum --------------------------------------------------------------------------------

    def paid(self, now: float) -> float:
        """GPU-seconds of all machines."""
        return sum(machine.paid(now) for machine in self.machines.values())

    @property
    def used(self) -> float:
        """GPU-seconds of all pods that are over."""
        return sum(machine.used for machine in self.machines.values())

    def idle(self, now: float) -> Idle:
        """What was paid and not used."""
        booting = between = leaving = 0.0
        for each in self.machines.values():
            end = each.deleted or now
            first = end if each.first_use is None else each.first_use
            last = first if each.last_use is None else each.last_use
            booting += (first - each.created) * each.gpus
            leaving += (end - last) * each.gpus
            between += (last - first) * each.gpus - each.used
        return Idle(booting, between, leaving)
