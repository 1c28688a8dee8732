"""Whether a noisy study slows a quiet one: the quiet one alone, and then beside the noisy one.

Both times a new operator process is looked at, from when it has nothing to do but what comes in.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from benchmarks.recovery import played, write
from benchmarks.scale import audit
from benchmarks.scale.cluster import Scene
from benchmarks.scale.point import Setting, prepare, study_body
from benchmarks.scale.samples import Sample
from benchmarks.scale.stage import LADDER, STUDIES_NAMESPACE, Stage, lag, lag_quantile, quiet, say
from benchmarks.scale.training import Trainings
from hyperband.api.study import parse_study
from hyperband.backends.kubernetes.archiver import QUIET_SECONDS
from hyperband.backends.kubernetes.client import Client
from hyperband.backends.kubernetes.connection import connect
from hyperband.backends.kubernetes.objects import STUDIES

QUIET_STUDY: Final = "study-0"  # as `study_body` names the first and the second one
QUIET_PODS: Final = 100
QUIET_REPORTS: Final = 20.0  # a second
ARCHIVED_SECONDS: Final = QUIET_SECONDS + 2.0  # without a trial archived, all are that may be

Body = dict[str, Any]


@dataclass(frozen=True)
class Figures:
    """Of the quiet study, in seconds.

    Attributes:
        answers: p50, p99 and how many.
        lag: mean of the event loop's, and its p99.
        fits: made meanwhile.
        trials: started meanwhile, by both studies.
    """

    answers: tuple[float, float, int]
    lag: tuple[float, float]
    fits: int
    trials: int


async def measure(scene: Scene, setting: Setting) -> tuple[Figures, Figures]:
    """The quiet study alone, and beside a noisy one of as many pods as the setting says.

    Both report all the while, the noisy one by the setting, a share being one of 100.
    """
    async with Client(connect(str(scene.cluster.kubeconfig)), concurrency=64) as client:
        async with asyncio.timeout(setting.limit):
            pods = setting.pods + QUIET_PODS
            await prepare(client, replace(setting, pods=pods))
            stage = Stage(client, scene)
            stage.apart[QUIET_STUDY] = Trainings(client, LADDER)
            async with stage.running():
                return await _both(stage, setting)


async def _both(stage: Stage, setting: Setting) -> tuple[Figures, Figures]:
    await stage.start_operator()
    own = stage.apart[QUIET_STUDY]
    calm = replace(setting, pods=QUIET_PODS, studies=1, searcher="Random")
    await stage.client.create(STUDIES, STUDIES_NAMESPACE, study_body(calm, 0), dict)
    await stage.until(lambda _: len(own.running) >= QUIET_PODS, "the quiet study's pods run")
    await stage.until(quiet, "the operator has nothing to do")
    first = await _observed(stage, setting.steady)
    stage.stop_operator()
    await _record(stage.client, setting)
    await stage.start_operator()
    rate = setting.reports or 100 * setting.share
    noise = asyncio.create_task(stage.trainings.report_steadily(rate, setting.limit))
    try:
        half = setting.pods // 2
        await stage.until(lambda _: len(stage.trainings.running) >= half, "half of the noise runs")
        await stage.until(_archived(), "what the noisy study has left is archived")
        second = await _observed(stage, setting.steady)
    finally:
        noise.cancel()
    return first, second


async def _record(client: Client, setting: Setting) -> None:
    """Makes the noisy study, with trials as if it had gone on for long: the last ones have slots.

    Their configurations are random ones, whatever its searcher, as others take their time.
    """
    body = study_body(replace(setting, studies=1), 1)
    study = parse_study(await client.create(STUDIES, STUDIES_NAMESPACE, body, dict))
    if setting.recorded:
        random = replace(study, study=replace(study.study, searcher="Random"))
        await write(client, study, played(random, setting.recorded))
        say(f"{setting.recorded:,} trials of the noisy study are recorded")


async def _observed(stage: Stage, seconds: float) -> Figures:
    """While the quiet study reports for so long."""
    before, begun = await stage.sampler.take(), time.time()
    await stage.apart[QUIET_STUDY].report_steadily(QUIET_REPORTS, seconds)
    after, ended = await stage.sampler.take(), time.time()
    await asyncio.sleep(2.0)  # for the last of its reports to be answered
    all_writes = audit.read(stage.scene.audit)
    started = audit.counts(audit.between(all_writes, begun, ended))["create", "hyperbandtrials"]
    writes = [write for write in all_writes if write.name.startswith(f"{QUIET_STUDY}-")]
    delays = [b - a for a, b in audit.answers(writes, begun, ended)]
    figures = Figures(
        (audit.quantile(delays, 0.5), audit.quantile(delays, 0.99), len(delays)),
        (lag(before, after), lag_quantile(before, after, 0.99)),
        _fits(after) - _fits(before),
        started,
    )
    say(str(figures))
    return figures


def _archived() -> Callable[[Sample], bool]:
    """Whether no trial has been archived for a while, by the samples that it is shown."""
    last, since = -1.0, 0.0

    def done(sample: Sample) -> bool:
        nonlocal last, since
        deletions = sum(
            count
            for name, count in sample.metrics.items()
            if name.startswith("hyperband_api_requests_total")
            and "resource=hyperbandtrials," in name
            and "verb=delete" in name
        )
        if deletions != last:
            last, since = deletions, sample.moment
        return sample.moment - since > ARCHIVED_SECONDS

    return done


def _fits(sample: Sample) -> int:
    return int(sample.metrics["hyperband_surrogate_fit_duration_seconds_count"])


def line(setting: Setting, alone: Figures, beside: Figures) -> str:
    """The figures in one line."""
    (mean, most), (mean_beside, most_beside) = alone.lag, beside.lag
    return (
        f"a quiet study of {QUIET_PODS} pods, alone and beside {setting.pods:,} "
        f"of {setting.searcher}, {setting.recorded:,} trials recorded: "
        f"answers p50 {alone.answers[0]:.3f} and {beside.answers[0]:.3f} s, "
        f"p99 {alone.answers[1]:.3f} and {beside.answers[1]:.3f} s "
        f"({beside.answers[1] / alone.answers[1]:.1f} times), mean lag {mean * 1e3:.1f} and "
        f"{mean_beside * 1e3:.1f} ms ({mean_beside / mean:.1f} times), "
        f"its p99 {most * 1e3:.1f} and {most_beside * 1e3:.1f} ms "
        f"({most_beside / most:.1f} times), {beside.fits} fits, "
        f"{beside.trials} trials started"
    )
