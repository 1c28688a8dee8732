"""A study of many finished trials, decided by the engine, and written as the operator does."""

import asyncio
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from hyperband.api import names
from hyperband.api.metrics import thin
from hyperband.api.study import StudyResource
from hyperband.api.trial import AttemptRecord, TrialResource, trial_manifest, trial_status
from hyperband.backends.kubernetes.client import Client
from hyperband.backends.kubernetes.objects import TRIALS, CustomObject
from hyperband.core.decisions import Outcome
from hyperband.core.engine import Engine
from hyperband.core.records import Fit, Report, Trial

START: Final = datetime(2026, 11, 25, tzinfo=UTC)
AT_ONCE: Final = 16  # requests under way
DETAIL: Final = ("level", "mean", "deviation", "improvement", "incumbent", "values", "modelAge")


def study_body(name: str, trials: int, *, epochs: int, early: bool) -> dict[str, Any]:
    """Seven parameters, 1 to `epochs` epochs, stopped early or not."""
    numbers = [
        {"name": f"parameter_{k}", "type": "Float", "min": 1e-5, "max": 1, "scale": "Log"}
        for k in range(7)
    ]
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.STUDY_KIND,
        "metadata": {"name": name},
        "spec": {
            "objective": {"metric": "val_loss"},
            "resource": {"name": "epochs", "min": 1, "max": epochs},
            "hyperband": {"mode": "Stopping" if early else "None"},
            "parameters": numbers,
            "maxTrials": trials,
            "parallelism": 16,
            "reporting": {"mode": "Manual"},
            "trialTemplate": {"spec": {"containers": [{"name": "train", "image": "trainer"}]}},
        },
    }


def finished_trials(study: StudyResource) -> Iterator[TrialResource]:
    """The trials of a study as their records are at the end, one after the other."""
    engine, dice = Engine(study.study), random.Random(study.study.seed)
    while (decision := engine.launch()) is not None:
        trial = _suggested_by_a_model(decision.trial, dice)
        engine.put(trial)
        if (seen := engine.seen_running(trial.index)) is not None:
            engine.put(seen.trial)
        reports = list(_curve(int(study.study.resource.max), dice))
        reached, evidence = 0, {}
        while engine.trials[trial.index].state.active:  # from one rung to the next
            reached = next(int(level) for level in engine.ladder.levels if level > reached)
            decided = engine.observe(trial.index, reports[:reached])
            assert decided is not None, "each rung is a decision"
            engine.put(decided.trial)
            evidence = dict(decided.evidence)
        yield _record(study, engine.trials[trial.index], reports[:reached], evidence, dice)


def _suggested_by_a_model(trial: Trial, dice: random.Random) -> Trial:
    """What GaussianProcess writes beside its suggestions; making 20,000 would take hours."""
    detail = {name: dice.random() for name in DETAIL}
    fit = Fit(trial.index, tuple(dice.gauss(0, 1) for _ in range(20)))
    suggestion = replace(trial.suggestion, origin="GaussianProcess", detail=detail, fit=fit)
    return replace(trial, suggestion=suggestion)


def _curve(epochs: int, dice: random.Random) -> Iterator[Report]:
    """A loss that falls to a level of its own, with noise."""
    level, speed = dice.uniform(0.1, 0.9), dice.uniform(0.3, 1.5)
    for epoch in range(1, epochs + 1):
        yield Report(epoch, level + epoch**-speed + dice.gauss(0, 0.01))


def _record(
    study: StudyResource,
    trial: Trial,
    reports: list[Report],
    evidence: dict[str, float],
    dice: random.Random,
) -> TrialResource:
    start = START + timedelta(seconds=20 * trial.index)
    seconds = 30.0 * len(reports) + dice.uniform(2, 9)
    attempt = AttemptRecord(
        number=0,
        pod=names.pod_name(study.name, trial.index, 0),
        node=f"gpu-worker-{dice.randrange(16)}",
        start_time=start,
        training_time=start + timedelta(seconds=2),
        end_time=start + timedelta(seconds=seconds),
        outcome=Outcome.ENDED.value,
        reason=trial.reason,
        resource=reports[-1].resource,
        gpu_seconds=seconds,
    )
    return TrialResource(
        trial=trial,
        name=names.trial_name(study.name, trial.index),
        uid="",
        resource_version="",
        ladder=Engine(study.study).ladder,
        curve=thin(reports),
        latest=reports[-1],
        attempts=(attempt,),
        gpu_seconds=seconds,
        evidence=evidence,
        transition_time=attempt.end_time,
    )


async def write(client: Client, study: StudyResource) -> None:
    """Creates the objects, and writes their status once."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(resource: TrialResource) -> None:
        async with slots:
            body = trial_manifest(study, resource.trial)
            made = await client.create(TRIALS, study.namespace, body, CustomObject)
            version = made.metadata.resource_version
            status = {
                "apiVersion": names.API_VERSION,
                "kind": names.TRIAL_KIND,
                "metadata": {"name": resource.name, "resourceVersion": version},
                "status": trial_status(resource),
            }
            await client.replace_status(TRIALS, study.namespace, resource.name, status, dict)

    pending: set[asyncio.Task[None]] = set()
    for resource in finished_trials(study):
        pending.add(asyncio.create_task(one(resource)))
        if len(pending) >= 2 * AT_ONCE:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    await asyncio.gather(*pending)
