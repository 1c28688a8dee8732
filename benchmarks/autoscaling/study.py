"""One study on an autoscaled cluster, from no node to none, and what it came to."""

import asyncio
import random
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from benchmarks.autoscaling import machines
from benchmarks.autoscaling.ledger import Idle, Ledger, NodeClaim
from benchmarks.autoscaling.training import Trainings, epoch_seconds
from benchmarks.programs import Cluster, process
from hyperband.api import names
from hyperband.api.archive import unpack
from hyperband.backends.kubernetes.api_errors import NotFound
from hyperband.backends.kubernetes.cache import Change, O, OnChange
from hyperband.backends.kubernetes.client import Client
from hyperband.backends.kubernetes.connection import connect
from hyperband.backends.kubernetes.informer import Informer
from hyperband.backends.kubernetes.objects import (
    ARCHIVES,
    PODS,
    STUDIES,
    TRIALS,
    Kind,
    Pod,
)

NODE_CLAIMS: Final = Kind("karpenter.sh", "v1", "nodeclaims", namespaced=False)
NODE_POOLS: Final = Kind("karpenter.sh", "v1", "nodepools", namespaced=False)
NODE_CLASSES: Final = Kind("karpenter.kwok.sh", "v1alpha1", "kwoknodeclasses", namespaced=False)
SERVICE_ACCOUNTS: Final = Kind("", "v1", "serviceaccounts")
NAMESPACE: Final = "default"
NAME: Final = "bench"
LOOK_SECONDS: Final = 0.5
SAY_SECONDS: Final = 20.0

Body = dict[str, Any]


@dataclass(frozen=True)
class Setting:
    """What is run. Times are seconds."""

    mode: str
    seed: int
    parallelism: int = 64
    trials: int = 900
    epochs: int = 9
    epoch: float = 20.0  # on average
    spot_gpus: int = 48
    spot_life: float = 300.0  # of a spot machine, on average
    boot: int = 2
    consolidate_after: int = 0
    initial_pods: int = 8
    limit: float = 1800.0  # for all


@dataclass(frozen=True)
class Figures:
    """What it came to. GPU-seconds but for counts and where it says seconds."""

    paid: float
    used: float
    idle: Idle
    growing: tuple[float, float]  # of these, until the last new trial came
    account: float  # the operator's
    by_pods: float  # the same by the pods' own times
    untold: int  # pods whose end only their deletion told: the account has it from a clock
    pods: int
    waited: float  # seconds of pods without a node
    most_waiting: int
    most_unschedulable: int
    beyond: list[str]
    machines: int
    spot_machines: int
    interrupted: int
    disrupted_pods: int
    seconds: float  # from the study's creation to its end
    to_zero: float  # seconds from its end to the end of the last machine
    faults: list[str]

    @property
    def ratio(self) -> float:
        """Paid for each GPU-second used."""
        return self.paid / self.used


async def measure(cluster: Cluster, setting: Setting) -> Figures:
    """Runs the study, and an operator for it, on a cluster on which nothing else is."""
    async with Client(connect(str(cluster.kubeconfig))) as client:
        await _prepare(client, setting)
        words = [sys.executable, "-m", "hyperband.cli", "operator", "-n", NAMESPACE]
        words += ["--kubeconfig", str(cluster.kubeconfig)]
        with process(words, cluster.logs / "operator", {}) as operator:
            whole = replace(cluster, processes={**cluster.processes, "operator": operator})
            run = _Run(client, whole.check, setting)
            async with asyncio.timeout(setting.limit), run.following():
                return await run.whole()


async def _prepare(client: Client, setting: Setting) -> None:
    account = {"metadata": {"name": "default"}}  # pods need one, and no controller makes it here
    await client.create(SERVICE_ACCOUNTS, NAMESPACE, account, dict)
    await client.create(NODE_CLASSES, None, machines.node_class(setting.boot), dict)
    for pool in machines.node_pools(setting.spot_gpus, setting.consolidate_after):
        await client.create(NODE_POOLS, None, pool, dict)


class _Run:
    """The benchmark's own view of a study while it runs."""

    def __init__(self, client: Client, check: Callable[[], None], setting: Setting) -> None:
        self._client, self._check, self._setting = client, check, setting
        self._ledger = Ledger(setting.initial_pods)
        seconds = epoch_seconds(setting.epoch, setting.seed)
        self._trainings = Trainings(client, NAMESPACE, seconds)
        self._interruptions: dict[str, asyncio.Task[None]] = {}  # by NodeClaim
        self._interrupted = 0
        self._over = False

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Watches pods and machines, plays the trainings and takes spot machines away."""
        pods = Informer(
            self._client,
            PODS,
            Pod,
            namespace=NAMESPACE,
            label_selector=names.STUDY_LABEL,
            on_change=self._heeded(self._pod_changed),
        )
        claims = Informer(
            self._client, NODE_CLAIMS, NodeClaim, on_change=self._heeded(self._claim_changed)
        )
        tasks = [asyncio.create_task(each.run()) for each in (pods, claims)]
        try:
            await asyncio.gather(pods.synced.wait(), claims.synced.wait())
            yield
        finally:
            tasks += self._interruptions.values()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._trainings.close()

    async def whole(self) -> Figures:
        """From the study's creation until nothing is rented any more."""
        began = time.time()
        await self._client.create(STUDIES, NAMESPACE, study_body(self._setting), dict)
        await self._until(self._finished, "the study has finished")
        ended = time.time()
        self._over = True
        await self._until(self._nothing_rented, "no machine is left")
        emptied = time.time()
        study = await self._client.get(STUDIES, NAMESPACE, NAME, dict)
        trials = await self._trials()
        return self._figures(study, trials, began, ended, emptied)

    async def _until(self, probe: Callable[[], Awaitable[bool]], what: str) -> None:
        said = time.monotonic()
        while not await probe():
            if time.monotonic() > said + SAY_SECONDS:
                said += SAY_SECONDS
                print(f"until {what}: {self._ledger}", file=sys.stderr, flush=True)
            self._check()
            if self._trainings.errors:
                raise self._trainings.errors[0]
            await asyncio.sleep(LOOK_SECONDS)

    async def _finished(self) -> bool:
        study = await self._client.get(STUDIES, NAMESPACE, NAME, dict)
        conditions = (study.get("status") or {}).get("conditions") or []
        return any(c["type"] == "Finished" and c["status"] == "True" for c in conditions)

    async def _nothing_rented(self) -> bool:
        return not self._ledger.rented

    async def _trials(self) -> list[Body]:
        """All trials' records, archived or not."""
        found: list[Body] = []
        async for page in self._client.pages(TRIALS, dict, NAMESPACE):
            found += page.items
        async for archives in self._client.pages(ARCHIVES, dict, NAMESPACE):
            found += [trial for each in archives.items for trial in unpack(each["spec"])]
        return found

    # -- what the watches tell ------------------------------------------------------------------

    def _heeded(self, take: Callable[[O | None, O | None], None]) -> OnChange[O]:
        """An informer only logs what goes wrong in its listeners; here it ends the run."""

        def changed(_: Change, old: O | None, new: O | None) -> None:
            try:
                take(old, new)
            except Exception as error:
                self._trainings.errors.append(error)

        return changed

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        if new is not None and names.ATTEMPT_LABEL in new.metadata.labels:
            self._ledger.pod(new, time.time())
            self._trainings.pod(new)
        elif new is None and old is not None:
            self._ledger.pod_gone(old, time.time())
            self._trainings.gone(old)

    def _claim_changed(self, old: NodeClaim | None, new: NodeClaim | None) -> None:
        if new is None:
            assert old is not None
            self._ledger.claim_gone(old.metadata.name, time.time())
            return
        name = new.metadata.name
        self._ledger.claim(new, time.time())
        if self._ledger.machines[name].spot and name not in self._interruptions:
            dice = random.Random(f"{self._setting.seed}/{len(self._interruptions)}")
            life = dice.expovariate(1 / self._setting.spot_life)
            task = asyncio.create_task(self._interrupt(name, life))
            task.add_done_callback(self._trainings.keep_error)
            self._interruptions[name] = task

    async def _interrupt(self, name: str, life: float) -> None:
        """The cloud gives notice: Karpenter drains the node and lets it go, as on its message."""
        await asyncio.sleep(life)
        if self._over or name not in self._ledger.rented:
            return
        with suppress(NotFound):
            await self._client.delete(NODE_CLAIMS, None, name)
            self._interrupted += 1

    # -- the sum --------------------------------------------------------------------------------

    def _figures(
        self, study: Body, trials: list[Body], began: float, ended: float, emptied: float
    ) -> Figures:
        ledger = self._ledger
        rented = [m for m in ledger.machines.values() if m.gpus]
        attempts = [a for t in trials for a in (t.get("status") or {}).get("attempts", ())]
        last = max(m.deleted or 0.0 for m in rented)
        return Figures(
            paid=ledger.paid(emptied),
            used=ledger.used,
            idle=ledger.idle(emptied),
            growing=ledger.growing,
            account=float(study["status"]["gpuSeconds"]),
            by_pods=sum(seconds for seconds, _ in ledger.accounts.values()),
            untold=sum(not told for _, told in ledger.accounts.values()),
            pods=len(ledger.accounts),
            waited=ledger.waited,
            most_waiting=ledger.most_waiting,
            most_unschedulable=ledger.most_unschedulable,
            beyond=ledger.beyond,
            machines=len(rented),
            spot_machines=sum(m.spot for m in rented),
            interrupted=self._interrupted,
            disrupted_pods=sum(a.get("outcome") == "Disrupted" for a in attempts),
            seconds=ended - began,
            to_zero=last - ended,
            faults=_faults(study, trials, ledger, self._setting),
        )


def _faults(study: Body, trials: list[Body], ledger: Ledger, setting: Setting) -> list[str]:
    """What must not be, in words."""
    said = []
    indices = sorted(trial["spec"]["index"] for trial in trials)
    if indices != list(range(setting.trials)):
        said.append(f"{len(indices)} trials, {len(set(indices))} different, of {setting.trials}")
    if twice := [name for name, uids in ledger.attempts.items() if len(uids) > 1]:
        said.append(f"pods made twice: {twice}")
    if failed := study["status"]["trials"]["failed"]:
        said.append(f"{failed} trials failed")
    return said


def study_body(setting: Setting) -> Body:
    """A study of pods with one GPU each, with checkpoints."""
    container = {
        "name": "train",
        "image": "never-pulled",
        "resources": {
            "requests": {"cpu": "8", "memory": "80Gi"},
            "limits": {machines.GPU: 1},
        },
    }
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.STUDY_KIND,
        "metadata": {"name": NAME},
        "spec": {
            "objective": {"metric": "loss"},
            "resource": {"name": "epochs", "min": 1, "max": setting.epochs},
            "hyperband": {"mode": setting.mode},
            "searcher": {"type": "Random", "seed": setting.seed},
            "parameters": [{"name": "x", "type": "Float", "min": 0, "max": 1}],
            "parallelism": setting.parallelism,
            "maxTrials": setting.trials,
            "reporting": {"mode": "Manual"},
            "scheduling": {"initialPods": setting.initial_pods},
            "checkpoint": {"volume": {"hostPath": {"path": "/scratch"}}},
            "trialTemplate": {
                "spec": {
                    "tolerations": [
                        {"key": machines.GPU, "operator": "Exists", "effect": "NoSchedule"}
                    ],
                    "containers": [container],
                }
            },
        },
    }
