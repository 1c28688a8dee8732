"""What all pods of a study do next: each as it likes, or in an order that the records fix. Pure."""

import random
from collections.abc import Iterator, Sequence

from hyperband.api import names
from hyperband.core.engine import Engine
from hyperband.core.records import Spent
from tests.chaos import pods
from tests.chaos.invariants import rebuilt
from tests.chaos.pods import Body, Fates, Step

LIVELY = 0.6  # the share of pods that do anything at one look


def steps_at_random(
    all_pods: Sequence[Body], moment: str, dice: random.Random, fates: Fates
) -> Iterator[tuple[Body, Step]]:
    """Some of the pods take a step."""
    for pod in all_pods:
        if dice.random() < LIVELY:
            step = pods.next_step(pod, moment, dice, fates)
            if step is not None:
                yield pod, step


def steps_in_order(
    study: Body,
    trials: Sequence[Body],
    all_pods: Sequence[Body],
    moment: str,
    dice: random.Random,
    fates: Fates,
) -> Iterator[tuple[Body, Step]]:
    """Pods start, are disturbed and go as they like; but one at a time reports, once all is quiet.

    So the order of the observations is a function of the records.
    """
    disturbed = False
    for pod in all_pods:
        step: Step | None
        if pods.phase(pod) != "Running" or pods.is_ending(pod) or pods.is_overdue(pod, moment):
            step = pods.next_step(pod, moment, dice, fates)
        elif (step := pods.disruption(pod, moment, dice, fates)) is None and pods.done(pod):
            step = pods.ended(pod, moment, 0)
        if step is not None:
            disturbed = True
            yield pod, step
    chosen = None if disturbed else _next_in_order(study, trials, all_pods)
    if chosen is not None:
        yield chosen, pods.trained(chosen)


def _next_in_order(study: Body, trials: Sequence[Body], all_pods: Sequence[Body]) -> Body | None:
    """The pod that may report next, if all is quiet.

    That is, when every active trial's pod runs, the records say so and hold all reports, no other
    pod is alive, and nothing more is to be launched.
    """
    if any(not trial.get("status") for trial in trials):
        return None
    active = {
        trial["metadata"]["uid"]: trial
        for trial in trials
        if trial["status"]["state"] in ("Pending", "Running")
    }
    living = [pod for pod in all_pods if pods.is_alive(pod)]
    if not living or len(living) != len(active):
        return None
    values = sum(len(trial["status"].get("rungs", [])) for trial in trials)
    ranks: list[tuple[float, int]] = []
    for position, pod in enumerate(living):
        trial = active.get(pod["metadata"]["ownerReferences"][0]["uid"])
        if trial is None or not _is_quiet(trial, pod):
            return None
        ranks.append((random.Random(f"{trial['spec']['index']} {values}").random(), position))
    engine = rebuilt(study, trials)
    if study["spec"].get("suspend") or engine.closing(_spent(engine)) is not None:
        return None  # what runs is about to be ended
    if engine.launch() is not None:
        return None
    return living[min(ranks)[1]]


def _spent(engine: Engine) -> Spent:
    """What the records alone tell of it, as each value comes at its level."""
    reached = ((t, t.rungs[-1].resource) for t in engine.trials.values() if t.rungs)
    return Spent(resource_units=sum(engine.resource_units(*each) for each in reached))


def _is_quiet(trial: Body, pod: Body) -> bool:
    """Whether the pod is the trial's attempt and runs, and the record knows all that it tells."""
    status = trial["status"]
    current = pod["metadata"]["labels"][names.ATTEMPT_LABEL] == str(status["attempt"])
    recorded = {value["resource"] for value in status.get("rungs", [])}
    told = {report["epochs"] for report in pods.reports(pod)}
    return bool(current and status["state"] == "Running" and told <= recorded)
