"""One point: so many pods of so many studies live at once, and what that costs."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any, Final

from benchmarks.scale import audit, bare
from benchmarks.scale.cluster import GPU, GPUS_OF_NODE, Scene, node
from benchmarks.scale.samples import Sample
from benchmarks.scale.stage import (
    LADDER,
    LOOK_SECONDS,
    SOON_SECONDS,
    STUDIES_NAMESPACE,
    Stage,
    lag,
    quiet,
    say,
)
from benchmarks.scale.training import Training
from hyperband.api import names
from hyperband.backends.kubernetes.client import Client
from hyperband.backends.kubernetes.connection import connect
from hyperband.backends.kubernetes.objects import PODS, STUDIES, TRIALS, Kind

NAMESPACES: Final = Kind("", "v1", "namespaces", namespaced=False)
SERVICE_ACCOUNTS: Final = Kind("", "v1", "serviceaccounts")
NODES: Final = Kind("", "v1", "nodes", namespaced=False)
FOREIGN_NAMESPACE: Final = "foreign"
BARE_NAMESPACE: Final = "bare"

Body = dict[str, Any]


@dataclass(frozen=True)
class Setting:
    """What is run.

    Attributes:
        most_trials: of each study.
        share: of the reports that a bare client can write, so many are made.
        reports: a second instead, if not 0.
        steady: seconds of them.
        burst: pods that reach a rung at once.
        recorded: trials of a noisy study that are there before.
        limit: seconds for all.
    """

    pods: int
    studies: int = 1
    mode: str = "Stopping"
    searcher: str = "Random"
    foreign: int = 0
    most_trials: int = 100_000
    share: float = 0.3
    reports: float = 0.0
    steady: float = 60.0
    burst: int = 1_000
    recorded: int = 0
    limit: float = 1_800.0


@dataclass(frozen=True)
class Figures:
    """What it came to. Seconds, bytes, and events a second.

    Attributes:
        running: of the pods launched at first, until all of them ran.
        restarted: from a new process's start until all is looked at again.
        touched: pods written to by the operator meanwhile.
        writes: of the operator a trial, by verb and resource.
        beyond: more of them than trials and their attempts need (`audit.needed`), but for what a
            new process writes when it takes over.
        status_writes: most in a second, of one study and of all.
    """

    bare: bare.Rates
    launches: float
    running: float
    reports: float
    answers: tuple[float, float, int]  # p50, p99, how many
    slowest: list[tuple[float, float]]  # of each second: when, and how late
    server: tuple[float, float]  # p50 and p99 of the API server's own time for a report
    decisions: float  # once all reports of the burst were in
    ends: float  # in the burst, until all slots are taken again and their pods run
    promotions: float
    memory_idle: int
    memory: int
    trial_memory: float
    cpu: dict[str, float]  # cores, while reports came
    lag: float  # mean of the event loop's, while reports came
    restarted: float
    touched: int
    trials: int
    writes: dict[str, float]
    beyond: int
    status_writes: tuple[int, int]
    seconds: float


async def measure(scene: Scene, setting: Setting) -> tuple[Figures, list[Sample]]:
    """Runs it on a cluster on which nothing else is."""
    begun = time.time()
    connection = connect(str(scene.cluster.kubeconfig))
    async with Client(connection, concurrency=64) as client:
        async with asyncio.timeout(setting.limit):
            await prepare(client, setting)
            say(f"{setting.pods // GPUS_OF_NODE + 1} nodes, {setting.foreign:,} foreign pods")
            patient = 300.0  # all that it has made is deleted by one request
            async with Client(connection, request_seconds=patient) as other:
                body = study_body(replace(setting, studies=1), 0)
                rates = await bare.measure(other, BARE_NAMESPACE, body, setting.pods)
            told = ", ".join(f"{what} {rate:.1f}" for what, rate in asdict(rates).items())
            say(f"bare client, a second: {told}")
            run = _Run(client, scene, setting, rates)
            async with run.running():
                figures = await run.whole()
    return replace(figures, seconds=time.time() - begun), run.sampler.samples


async def prepare(client: Client, setting: Setting) -> None:
    """Makes nodes, namespaces and the pods of others."""
    for name in (STUDIES_NAMESPACE, FOREIGN_NAMESPACE, BARE_NAMESPACE):
        await client.create(NAMESPACES, None, {"metadata": {"name": name}}, dict)
        account = {"metadata": {"name": "default"}}  # no controller makes it here
        await client.create(SERVICE_ACCOUNTS, name, account, dict)
    nodes = range(setting.pods // GPUS_OF_NODE + 1)
    await asyncio.gather(*(client.create(NODES, None, node(n), dict) for n in nodes))
    foreign = (
        client.create(PODS, FOREIGN_NAMESPACE, _foreign_pod(number), dict)
        for number in range(setting.foreign)
    )
    await asyncio.gather(*foreign)


def study_body(setting: Setting, number: int) -> Body:
    """One of the studies; together they have as many slots as there are to be pods."""
    slots = setting.pods // setting.studies + (number < setting.pods % setting.studies)
    limits = {GPU: "1", "cpu": "100m"}
    container = {"name": "train", "image": "never-pulled", "resources": {"limits": limits}}
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.STUDY_KIND,
        "metadata": {"name": f"study-{number}"},
        "spec": {
            "objective": {"metric": "loss"},
            "resource": {"name": "epochs", "min": LADDER[0], "max": LADDER[-1]},
            "hyperband": {"mode": setting.mode},
            "searcher": {"type": setting.searcher, "seed": number},
            "parameters": [
                {"name": "learning_rate", "type": "Float", "min": 1e-5, "max": 0.1, "scale": "Log"},
                {"name": "layers", "type": "Integer", "min": 1, "max": 4},
                {"name": "dropout", "type": "Float", "min": 0, "max": 0.6},
            ],
            "parallelism": slots,
            "maxTrials": setting.most_trials,
            "reporting": {"mode": "Manual"},
            "trialTemplate": {"spec": {"containers": [container]}},
        },
    }


def _foreign_pod(number: int) -> Body:
    container = {"name": "other", "image": "never-pulled"}
    gates = [{"name": "benchmark/never"}]
    return {
        "metadata": {"name": f"other-{number}", "labels": {"app": "other"}},
        "spec": {"containers": [container], "schedulingGates": gates},
    }


class _Run(Stage):
    """The studies' life, from their creation to the end of the measurement."""

    def __init__(self, client: Client, scene: Scene, setting: Setting, rates: bare.Rates) -> None:
        super().__init__(client, scene)
        self._setting, self._rates = setting, rates

    async def whole(self) -> Figures:
        """Launch, reports, a burst at a rung, and a new operator process."""
        setting, trainings = self._setting, self.trainings
        await self.start_operator()
        idle = await self.sampler.take()
        created = time.time()
        bodies = (study_body(setting, number) for number in range(setting.studies))
        create = (self.client.create(STUDIES, STUDIES_NAMESPACE, body, dict) for body in bodies)
        await asyncio.gather(*create)
        await self.until(self._all_run, "all pods run")
        all_run = max(training.begun for training in trainings.running.values())
        await self.until(quiet, "the operator has nothing to do")
        launched = time.time()
        full = await self.sampler.take()
        rate = setting.reports or setting.share * self._rates.reports
        await trainings.report_steadily(rate, setting.steady)
        reported = time.time()
        after = await self.sampler.take()
        await self._settled()
        burst = time.time()
        await trainings.report_rungs(list(islice(trainings.running.values(), setting.burst)))
        all_in = time.time()
        await self._settled()
        turning = max(training.begun for training in trainings.running.values()) - burst
        settled = time.time()
        records = await self._trials()
        restarted, touched = await self._restart()
        writes = audit.read(self.scene.audit)
        during = audit.between(writes, launched, reported)
        bursting = audit.between(writes, burst, settled)
        trials = audit.counts(writes)["create", "hyperbandtrials"]
        answers = audit.answers(writes, launched, reported)
        delays = [b - a for a, b in answers]
        decided = audit.answers(writes, burst, settled)
        own = audit.latencies((w for w in during if w.what == ("patch", "pods")), "bench")
        return Figures(
            bare=self._rates,
            launches=audit.rate(audit.between(writes, created, launched), ("create", "pods")),
            running=setting.pods / (all_run - created),
            reports=rate,
            answers=(audit.quantile(delays, 0.5), audit.quantile(delays, 0.99), len(delays)),
            slowest=_slowest(answers),
            server=(audit.quantile(own, 0.5), audit.quantile(own, 0.99)),
            decisions=_rate_after(all_in, [recorded for _, recorded in decided]),
            ends=_pods_made(bursting) / turning,
            promotions=_pods_made(bursting, "-0") / turning,
            memory_idle=idle.memory["operator"],
            memory=max(s.memory.get("operator", 0) for s in self.sampler.samples),
            trial_memory=(full.memory["operator"] - idle.memory["operator"]) / setting.pods,
            cpu=_cores(full, after),
            lag=lag(full, after),
            restarted=restarted,
            touched=touched,
            trials=trials,
            writes={
                " ".join(what): round(n / trials, 2)
                for what, n in sorted(audit.counts(writes).items())
            },
            beyond=audit.beyond(audit.between(writes, created, settled), records),
            status_writes=audit.most_a_second(writes, "hyperbandstudies/status"),
            seconds=0.0,
        )

    async def _settled(self) -> None:
        """Twice, two seconds apart: news that are on their way make nobody busy."""
        for _ in range(2):
            await asyncio.sleep(LOOK_SECONDS)
            await self.until(
                lambda sample: self._all_run(sample) and quiet(sample), "all slots are taken again"
            )

    async def _restart(self) -> tuple[float, int]:
        """The seconds until another process has answered the last trial of each study.

        Also, how many pods it has written to whose trials had no news.
        """
        self.stop_operator()
        stopped = time.time()
        last: dict[str, Training] = {}
        for training in self.trainings.running.values():
            study = training.pod.metadata.labels[names.STUDY_LABEL]
            if study not in last or _index(training) > _index(last[study]):
                last[study] = training
        others = {t.pod.metadata.name for t in self.trainings.running.values()}
        others -= {t.pod.metadata.name for t in last.values()}
        versions = {}
        for training in last.values():
            name = training.pod.metadata.name.rpartition("-")[0]
            trial = await self.client.get(TRIALS, STUDIES_NAMESPACE, name, dict)
            versions[name] = len(trial["status"].get("rungs", ()))
        await self.trainings.report_rungs(last.values())
        begun = time.monotonic()
        await self.start_operator()
        while versions:
            for name, rungs in list(versions.items()):
                trial = await self.client.get(TRIALS, STUDIES_NAMESPACE, name, dict)
                if len(trial["status"].get("rungs", ())) > rungs:
                    del versions[name]
            await asyncio.sleep(SOON_SECONDS)
        seconds = time.monotonic() - begun
        await self.until(quiet, "the operator has nothing to do")
        writes = audit.between(audit.read(self.scene.audit), stopped, time.time())
        touched = {w.name for w in writes if w.user == audit.OPERATOR and w.name in others}
        return seconds, len(touched)

    async def _trials(self) -> list[Body]:
        pages = self.client.pages(TRIALS, dict, STUDIES_NAMESPACE)
        return [trial async for page in pages for trial in page.items]

    def _all_run(self, _: Sample) -> bool:
        return len(self.trainings.running) >= self._setting.pods


def _slowest(answers: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    worst: dict[int, float] = {}
    for reported, recorded in answers:
        second = int(reported)
        worst[second] = max(worst.get(second, 0.0), recorded - reported)
    return sorted(worst.items())


def _rate_after(begin: float, moments: Sequence[float]) -> float:
    """Of those after it, a second."""
    after = [moment for moment in moments if moment > begin]
    return len(after) / (max(after) - begin) if after else float("inf")


def _pods_made(writes: Iterable[audit.Write], attempt: str = "") -> int:
    """How many the operator has made.

    Args:
        attempt: how the names of those that do not count end.
    """
    what = ("create", "pods")
    made = (w.name for w in writes if w.user == audit.OPERATOR and w.what == what)
    return sum(not attempt or not name.endswith(attempt) for name in made)


def _index(training: Training) -> int:
    return int(training.pod.metadata.labels[names.TRIAL_LABEL])


def _cores(before: Sample, after: Sample) -> dict[str, float]:
    seconds = after.moment - before.moment
    return {n: round((after.cpu[n] - before.cpu[n]) / seconds, 2) for n in before.cpu}
