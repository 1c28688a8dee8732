"""What tests on the cluster share: an operator process, studies with tiny trainers, and a census.

Tests wait for conditions through `eventually`; no test waits for a fixed time.
"""

import asyncio
import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from hyperband.api import names
from hyperband.api.archive import unpack
from hyperband.backends.kubernetes.attempts import is_over
from hyperband.backends.kubernetes.client import Client
from hyperband.backends.kubernetes.connection import connect
from hyperband.backends.kubernetes.informer import Change, Informer
from hyperband.backends.kubernetes.objects import ARCHIVES, PODS, STUDIES, TRIALS, Kind, Pod

IMAGE = "hyperband.dev/digits:dev"
PROGRAM = (sys.executable, "-m", "hyperband.cli")
LEASE_SECONDS = 4  # not the 15 that people get, as tests kill operators again and again
TIMEOUT = 180.0  # on a busy machine of two cores; a bound, not an expectation

# A trainer in a line: loss falls with epochs and depends on the parameter x. It "trains" fast,
# keeps its progress in the checkpoint folder, and says in its log where it went on.
GOOD = """
import time
from hyperband.report import checkpoint, parameters, report, resource_target, resume_from
x, start = parameters()["x"], 0
if path := resume_from():
    start = int(path.read_text())
    print(f"resumed from epoch {start}", flush=True)
for epoch in range(start + 1, int(resource_target()) + 1):
    time.sleep(PAUSE)
    with checkpoint(epoch) as target:
        target.write_text(str(epoch))
    report(epochs=epoch, loss=(x - 0.3) ** 2 + 1 / epoch)
    print(f"epoch {epoch}", flush=True)
"""

# An operator that looks for something to archive every other second; nothing else is different.
OFTEN = """
from hyperband.backends.kubernetes import archiver, study_task
from hyperband.cli.main import app
archiver.QUIET_SECONDS, study_task.RESYNC_SECONDS = 0.5, 2.0
"""


def often_archiving(*more: str) -> tuple[str, ...]:
    """The program of such an operator, with more lines."""
    return (sys.executable, "-c", "\n".join([OFTEN, *more, "app()"]))


def trainer(code: str = GOOD, pause: float = 0.05) -> list[str]:
    """A container's command."""
    return ["python3", "-c", code.replace("PAUSE", str(pause))]


def study(name: str, command: list[str] | None = None, **changes: Any) -> dict[str, Any]:
    """A small study: 1 to 9 epochs, three rungs, one parameter."""
    spec: dict[str, Any] = {
        "objective": {"metric": "loss"},
        "resource": {"name": "epochs", "min": 1, "max": 9},
        "hyperband": {"mode": "Promotion"},
        "searcher": {"type": "Random", "seed": 1},
        "parameters": [{"name": "x", "type": "Float", "min": 0, "max": 1}],
        "parallelism": 4,
        "maxTrials": 9,
        "checkpoint": {"volume": {"hostPath": {"path": "/checkpoints", "type": "Directory"}}},
        "trialTemplate": {
            "spec": {
                "terminationGracePeriodSeconds": 2,
                "containers": [
                    {
                        "name": "train",
                        "image": IMAGE,
                        "imagePullPolicy": "IfNotPresent",
                        "command": command or trainer(),
                        "resources": {
                            "requests": {"cpu": "20m"},
                            "limits": {"nvidia.com/gpu": 1},
                        },
                    }
                ],
            }
        },
    }
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.STUDY_KIND,
        "metadata": {"name": name},
        "spec": spec | changes,
    }


def operator_kubeconfig(folder: Path) -> Path:
    """A kubeconfig of the operator's own service account: it may do what its roles say, no more."""
    token = _kubectl("create", "token", "-n", "hyperband-system", "hyperband-operator")
    config = yaml.safe_load(_kubectl("config", "view", "--raw", "--minify", "--flatten"))
    config["users"] = [{"name": config["users"][0]["name"], "user": {"token": token.strip()}}]
    path = folder / "operator.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


def _kubectl(*words: str, stdin: str | None = None) -> str:
    done = subprocess.run(
        ["kubectl", *words], check=True, stdout=subprocess.PIPE, text=True, input=stdin
    )
    return done.stdout


def permit_lease(namespace: str) -> None:
    """Lets an operator that is limited to the namespace take the Lease there."""
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "hyperband-namespace-lease", "namespace": namespace},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "hyperband-namespace-lease",
        },
        "subjects": [
            {
                "kind": "ServiceAccount",
                "name": "hyperband-operator",
                "namespace": "hyperband-system",
            }
        ],
    }
    _kubectl("apply", "-f", "-", stdin=yaml.safe_dump(binding))


class Operator:
    """An operator process for some namespaces, which can be killed and started again.

    Args:
        namespaces: one, or several.
        lease_seconds: after being killed, the next process waits so long before it works.
        program: how `hyperband` is run.
    """

    def __init__(
        self,
        namespaces: str | Sequence[str],
        log: Path,
        lease_seconds: int = LEASE_SECONDS,
        program: Sequence[str] = PROGRAM,
    ) -> None:
        self.namespaces = [namespaces] if isinstance(namespaces, str) else namespaces
        self.log, self._program = log, program
        self._lease_seconds = lease_seconds
        for namespace in self.namespaces:
            permit_lease(namespace)
        self._kubeconfig = str(operator_kubeconfig(log.parent))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(*self._program, "operator"),
                    *(f"--namespace={namespace}" for namespace in self.namespaces),
                    *("--kubeconfig", self._kubeconfig),
                    *("--lease-seconds", str(self._lease_seconds)),
                ],
                stdout=log,
                stderr=log,
            )

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        """Ends the process; SIGKILL leaves it no time for anything."""
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait(timeout=30)
        self._process = None

    def pause(self) -> None:
        """Nothing of the process runs until it is resumed; its connections stay open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def text(self) -> str:
        return self.log.read_text() if self.log.exists() else ""


@contextlib.contextmanager
def running_operator(
    namespace: str, log: Path, *, may_be_refused: bool = False, program: Sequence[str] = PROGRAM
) -> Iterator[Operator]:
    """An operator that is ended with the test.

    Args:
        may_be_refused: whether 403 may be answered, which elsewhere means that its role lacks
            something.
        program: how `hyperband` is run.
    """
    operator = Operator(namespace, log, program=program)
    operator.start()
    try:
        yield operator
        refused = "403 Forbidden" in operator.text()
        assert may_be_refused or not refused, "its role lacks something"
    finally:
        if operator.alive:
            operator.kill(signal.SIGTERM)


class Bench:
    """A namespace on the cluster, seen through a client."""

    def __init__(self, client: Client, namespace: str) -> None:
        self.client, self.namespace = client, namespace

    async def apply(self, body: dict[str, Any]) -> dict[str, Any]:
        return await self.client.create(STUDIES, self.namespace, body, dict)

    async def study(self, name: str) -> dict[str, Any]:
        return await self.client.get(STUDIES, self.namespace, name, dict)

    async def trials(self, study: str) -> list[dict[str, Any]]:
        """All trials, archived or not, by index."""
        items = await self.objects(TRIALS, study)
        archives = await self.objects(ARCHIVES, study)
        trials = {t["spec"]["index"]: t for a in archives for t in unpack(a["spec"])}
        trials |= {t["spec"]["index"]: t for t in items}
        return [trials[index] for index in sorted(trials)]

    async def objects(self, kind: Kind, study: str) -> list[dict[str, Any]]:
        """Objects of one kind that belong to a study."""
        selector = f"{names.STUDY_LABEL}={study}"
        pages = self.client.pages(kind, dict, self.namespace, label_selector=selector)
        return [item async for page in pages for item in page.items]

    async def pods(self, study: str | None = None) -> list[Pod]:
        selector = f"{names.STUDY_LABEL}={study}" if study else None
        pages = self.client.pages(PODS, Pod, self.namespace, label_selector=selector)
        return [item async for page in pages for item in page.items]

    async def finished(self, name: str, timeout: float = TIMEOUT) -> dict[str, Any]:
        """The study once it is over."""

        async def over() -> dict[str, Any] | None:
            body = await self.study(name)
            return body if condition(body, "Finished") == "True" else None

        return await eventually(over, f"study {name} is finished", timeout)

    async def log(self, pod: str) -> str:
        """A pod's log, through kubectl: the client has no need of logs."""
        process = await asyncio.create_subprocess_exec(
            "kubectl", "logs", "-n", self.namespace, pod, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await process.communicate()
        return output.decode()


@contextlib.asynccontextmanager
async def bench(kubeconfig: str, namespace: str) -> AsyncIterator[Bench]:
    async with Client(connect(kubeconfig)) as client:
        yield Bench(client, namespace)


async def eventually(
    probe: Callable[[], Awaitable[Any]], what: str, timeout: float = TIMEOUT
) -> Any:
    """What `probe` gives as soon as it gives something true.

    Raises:
        AssertionError: it never did.
    """
    deadline = time.monotonic() + timeout
    while True:
        found = await probe()
        if found:
            return found
        assert time.monotonic() < deadline, f"waited {timeout:.0f} s in vain until {what}"
        await asyncio.sleep(0.2)


def condition(body: dict[str, Any], type_: str, key: str = "status") -> str:
    """A condition's status, or another of its fields; "" if it is not there."""
    rows = (body.get("status") or {}).get("conditions") or []
    return next((str(row[key]) for row in rows if row["type"] == type_), "")


class Census:
    """Watches a study's pods all the time and remembers the most that were alive at once."""

    def __init__(self) -> None:
        self.alive: set[str] = set()
        self.most = 0
        self.listing = False  # what a list tells has not happened in its order
        self.seen: dict[str, str] = {}  # pod name: uid
        self.twice: list[str] = []  # names that two pods had

    def changed(self, change: Change, old: Pod | None, new: Pod | None) -> None:
        if new is None:
            assert old is not None
            self.alive.discard(old.metadata.uid)
            return
        name, uid = new.metadata.name, new.metadata.uid
        if self.seen.setdefault(name, uid) != uid:
            self.twice.append(name)
        if is_over(new):
            self.alive.discard(uid)
        else:
            self.alive.add(uid)
        self.count()

    def count(self) -> None:
        """Looks how many are alive, where that is known."""
        if not self.listing:
            self.most = max(self.most, len(self.alive))


@contextlib.asynccontextmanager
async def census(bench: Bench) -> AsyncIterator[Census]:
    counted = Census()

    class Pods(Informer[Pod]):
        """Lists anew after an outage, say: what has come since may come before what has ended."""

        def begin_list(self) -> None:
            counted.listing = True
            super().begin_list()

        def end_list(self, revision: int) -> None:
            super().end_list(revision)
            counted.listing = False
            counted.count()

    informer = Pods(
        bench.client,
        PODS,
        Pod,
        namespace=bench.namespace,
        label_selector=names.STUDY_LABEL,
        on_change=counted.changed,
    )
    task = asyncio.create_task(informer.run())
    try:
        await informer.synced.wait()
        yield counted
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def check_promotions(trials: list[dict[str, Any]], eta: int) -> None:
    """Every promotion of a study that minimizes in one bracket was justified when it came.

    It came after the trial's value at the rung and before its next one, by sequence numbers: at one
    of the moments between them the trial was among the best ⌊1 + (n-1)/η⌋ of at least two.
    """
    rungs: dict[int, list[tuple[int, float, int]]] = {}  # by level: (sequence, value, index)
    for trial in trials:
        for value in trial["status"].get("rungs", []):
            entry = (value["sequence"], value["value"], trial["spec"]["index"])
            rungs.setdefault(value["level"], []).append(entry)
    for trial in trials:
        own = trial["status"].get("rungs", [])
        for value, after in pairwise(own):
            justified = False
            for moment in range(value["sequence"], after["sequence"]):
                there = sorted(e[1:] for e in rungs[value["level"]] if e[0] <= moment)
                rank = 1 + there.index((value["value"], trial["spec"]["index"]))
                justified |= len(there) >= 2 and rank <= 1 + (len(there) - 1) // eta
            assert justified, f"{trial['metadata']['name']} at level {value['level']}"


def check_records(trials: list[dict[str, Any]], expected: int) -> None:
    """What must hold of a finished study's trials, whatever happened to it."""
    assert [int(t["spec"]["index"]) for t in trials] == list(range(expected))
    sequence = sorted(v["sequence"] for t in trials for v in t["status"].get("rungs", []))
    assert sequence == list(range(len(sequence))), "every value once, none lost"
    for trial in trials:
        assert trial["status"]["state"] not in ("Pending", "Running")
        levels = [value["level"] for value in trial["status"].get("rungs", [])]
        assert levels == sorted(set(levels))
