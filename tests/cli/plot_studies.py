"""Studies to draw: simulated ones, as a cluster holds them; pods as the decisions had them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from hyperband.api.files import load_manifest
from hyperband.api.study import parse_study
from hyperband.api.trial import AttemptRecord, TrialResource, trial_manifest, trial_status
from hyperband.backends.simulator.curves import AnalyticCurves
from hyperband.backends.simulator.faults import Faults
from hyperband.backends.simulator.simulation import Decided, Simulation
from hyperband.core.decisions import Action
from hyperband.plots.records import Records, of_objects

Body = dict[str, Any]
SAMPLES = Path("manifests/samples")
START = datetime(2026, 1, 1, tzinfo=UTC)
BEGINS = (Action.START, Action.PROMOTE, Action.REPEAT)
OUTCOMES = {Action.REPEAT: "Disrupted", Action.FAIL: "Failed", Action.STOP: "Ended"}


@cache
def played(sample: str = "digits", trials: int = 36, seconds: float = 1e9) -> tuple[Body, ...]:
    """The objects of a simulated study, some of its pods disrupted: the study, then its trials."""
    body = load_manifest(SAMPLES / f"{sample}.yaml")
    body["metadata"]["uid"] = "uid"
    resource = parse_study(body)
    study = replace(resource.study, max_trials=trials)
    curves = AnalyticCurves(study.space, study.resource, study.objective, seconds=60)
    faults = Faults(disrupt=0.1, fail=0.02, start_seconds=30)
    simulation = Simulation(study, curves, faults, gpus=1)
    result = simulation.run(seconds)
    made: list[Body] = [body]
    for trial in result.trials:
        decided = [d for d in result.decisions if d.decision.trial.index == trial.index]
        attempts = _attempts(f"{study.name}-{trial.index}", decided)
        recorded = TrialResource(
            trial,
            f"{study.name}-{trial.index}",
            "",
            "",
            simulation.engine.ladder,
            attempts=attempts,
            gpu_seconds=sum(each.gpu_seconds for each in attempts),
        )
        made.append({**trial_manifest(resource, trial), "status": trial_status(recorded)})
    return tuple(made)


def _attempts(name: str, decided: list[Decided]) -> tuple[AttemptRecord, ...]:
    made: list[AttemptRecord] = []
    for each in decided:
        action, trial = each.decision.action, each.decision.trial
        now = START + timedelta(seconds=each.seconds)
        if action not in (Action.RUN, Action.CONTINUE) and made and not made[-1].ended:
            open_, spent = made[-1], 0.0
            if open_.start_time is not None:
                spent = (now - open_.start_time).total_seconds()
            made[-1] = replace(
                open_,
                end_time=now,
                outcome=OUTCOMES.get(action, "Succeeded"),
                resource=trial.rungs[-1].resource if trial.rungs else None,
                gpu_seconds=spent,
            )
        if action in BEGINS:
            number = trial.attempt
            node = f"gpu-{(trial.index + number) % 3}"
            made.append(AttemptRecord(number, f"{name}-{number}", node, now, now))
    return tuple(made)


def records(sample: str = "digits", trials: int = 36) -> Records:
    """What is drawn of such a study."""
    study, *others = played(sample, trials)
    return of_objects(study, others)
