"""A schedule: a study, what happens to its calls and events, and what happens to its pods.

All of it is drawn from the seed. In an ordered schedule pods report in an order that the records
alone fix, and no training fails: then every decision must equal that of the undisturbed run.
"""

import copy
import random
from dataclasses import dataclass, field, replace
from typing import Any

from hyperband.core.schedulers import SCHEDULERS
from tests.chaos import pods
from tests.chaos.faults import AtRandom, Faults, Recorded
from tests.chaos.pods import Body, Fates
from tests.cluster.harness import study as kubelet_study
from tests.kubernetes.fake_cluster import study_body

MODES = tuple(SCHEDULERS)


# Nothing of a study is to stay. An archiver that has met an error waits for ten minutes.
TIDY: Body = {
    "checkpoint": {"volume": {"persistentVolumeClaim": {"claimName": "c"}}, "cleanUp": "Remove"},
    "retention": {"pods": "10s", "trials": 0},
    "ttlAfterFinished": "30m",
}


@dataclass(frozen=True)
class Change:
    """Something that somebody writes into the spec.

    Attributes:
        values: after so many are recorded.
        spec: what is merged into it.
        idle: whether it waits until no pod of a trial is alive.
    """

    values: int
    spec: Body
    idle: bool = False


@dataclass(frozen=True)
class Schedule:
    """What is run.

    Attributes:
        seed: of everything that is drawn while it runs.
        ordered: whether the pods' order is fixed by the records.
        pauses: seconds between two operators, at the most.
        hidden: seconds for which the real server is hidden, where it is.
        kubelet: whether real pods train, which only a real cluster has.
        changes: of the spec, one after the other; of simulated schedules alone, as is
        stalls: so many values are recorded before no pod reports any more, if that is given.
    """

    seed: str
    study: Body
    faults: Faults
    fates: Fates = field(default_factory=Fates)
    ordered: bool = False
    pauses: float = 0.0
    hidden: float = 60.0
    kubelet: bool = False
    changes: tuple[Change, ...] = ()
    stalls: int | None = None

    @property
    def most_pods(self) -> int:
        """The highest parallelism that the study ever has."""
        specs = (self.study["spec"], *(change.spec for change in self.changes))
        return max(int(spec.get("parallelism", 0)) for spec in specs)

    def undisturbed(self) -> "Schedule":
        """The same study with no faults."""
        return replace(self, faults=Recorded(), fates=Fates(), pauses=0.0)


def study(**spec: Any) -> Body:
    """A small study whose pods each hold one GPU."""
    body = study_body(
        **{
            "resource": {"name": "epochs", "min": 1, "max": 9},
            "reporting": {"mode": "Direct"},
            "failurePolicy": {"retries": 2, "maxFailedTrials": 100},
            **spec,
        }
    )
    container = body["spec"]["trialTemplate"]["spec"]["containers"][0]
    container["resources"] = {"limits": {"nvidia.com/gpu": 1}}
    return body


def random_study(seed: int, dice: random.Random, most_trials: int) -> Body:
    """A study of any mode."""
    mode = MODES[seed % len(MODES)]
    return study(
        resource={"name": "epochs", "min": 1, "max": dice.choice([3, 9])},
        hyperband={"mode": mode, "brackets": 1 if mode == "None" else dice.randint(1, 2)},
        searcher={"type": "Random", "seed": seed},
        parallelism=dice.randint(1, 4),
        maxTrials=dice.randint(4, most_trials),
    )


def random_schedule(seed: int) -> Schedule:
    """The schedule of that number."""
    dice = random.Random(seed)
    ordered = dice.random() < 0.5
    body = random_study(seed, dice, most_trials=9)
    rate = dice.choice([0.03, 0.1, 0.3])
    faults = AtRandom(str(seed), rate, writes=100, kills=20, hidings=5)
    trouble = dice.choice([0.0, 0.03, 0.1])
    fates = Fates(0.0 if ordered else trouble, trouble, trouble, trouble)
    schedule = Schedule(str(seed), body, faults, fates, ordered, dice.choice([0.5, 5.0, 60.0]))
    return with_an_end(schedule, seed) if seed % 3 == 0 else schedule


def with_an_end(schedule: Schedule, seed: int) -> Schedule:
    """The same, but people change the spec, something may end it early, and nothing is to stay.

    In an ordered schedule only what the records tell may end it: not the time, nor a disruption.
    """
    dice = random.Random(f"{seed} end")
    spec = schedule.study["spec"] | copy.deepcopy(TIDY)
    spec["retention"] |= {"trials": dice.randint(0, 2), "logs": dice.choice(["Keep", "Discard"])}
    spec["onBudget"] = "Stop" if schedule.ordered else dice.choice(["Stop", "Finish"])
    changes: list[Change] = []
    if dice.random() < 0.5:
        first = dice.randint(1, 4)
        changes = [Change(first, {"suspend": True}), Change(first, {"suspend": False}, idle=True)]
    more = {"parallelism": spec["parallelism"] + 1}
    if spec["hyperband"]["mode"] != "Synchronous":  # whose last rungs open again with more trials
        more["maxTrials"] = spec["maxTrials"] + 1
    changes.append(Change(dice.randint(3, 6), more))
    ends = ["units", "target", "stop", "none"]
    match dice.choice(ends if schedule.ordered else [*ends, "gpus", "duration"]):
        case "units":
            spec["budget"] = {"resourceUnits": dice.randint(6, 20)}
        case "gpus":
            spec["budget"] = {"gpuHours": dice.choice([0.01, 0.05])}
        case "duration":
            spec["budget"] = {"duration": dice.choice(["30s", "3m"])}
        case "target":
            value = dice.choice([0.3, 0.6])
            spec["earlyStopping"] = [{"metric": "loss", "goal": "Minimize", "value": value}]
        case "stop":
            changes.append(Change(dice.randint(6, 9), {"stop": True}))
    faults = AtRandom(schedule.seed, dice.choice([0.03, 0.1]), writes=200, kills=20, hidings=5)
    body = {**schedule.study, "spec": spec}
    return replace(schedule, study=body, faults=faults, changes=tuple(changes))


def real_schedule(seed: int) -> Schedule:
    """The schedule of that number for a real API server: smaller, and with less waiting.

    In nine of ten the test plays the kubelet, for pods that a scheduling gate keeps from any node;
    in the others kubelets run trainers.
    """
    dice = random.Random(f"real {seed}")
    kubelet = seed % 10 == 9
    ordered = not kubelet and dice.random() < 0.5
    body = random_study(seed, dice, most_trials=6)
    if kubelet:
        body["spec"] |= kubelet_study("s", maxTrials=5, parallelism=3)["spec"]
        body["spec"]["hyperband"] = {"mode": MODES[seed // 10 % len(MODES)]}
    else:
        body["spec"]["reporting"] = {"mode": "Manual"}
        body["spec"]["trialTemplate"]["spec"]["schedulingGates"] = [{"name": pods.FINALIZER}]
    faults = AtRandom(f"real {seed}", dice.choice([0.05, 0.1]), writes=60, kills=3, hidings=1)
    trouble = dice.choice([0.0, 0.05])
    fates = Fates(0.0 if ordered else trouble, trouble, trouble, trouble)
    hidden = 60.0 if seed % 10 == 5 else 5.0
    return Schedule(f"real {seed}", body, faults, fates, ordered, 2.0, hidden, kubelet)
