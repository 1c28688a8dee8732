"""What must hold of a study that is over, whatever happened to it on the way.

Read from the objects that the API server has at the end, and from a `Ledger` of all pods that ever
were.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any

import msgspec

from hyperband.api import names
from hyperband.api.status import budget_reached, is_finished
from hyperband.api.study import parse_study
from hyperband.api.trial import parse_trial
from hyperband.backends.kubernetes.objects import CustomObject
from hyperband.core.decisions import Reason
from hyperband.core.engine import Engine
from hyperband.core.records import Spent
from tests.chaos import pods
from tests.chaos.justified import check_decisions
from tests.chaos.pods import Body

GPU_SECONDS_ROUNDED = 0.051  # of a study's status
CUT_SHORT = ("BudgetReached", "TargetReached", "Stopped")


@dataclass
class Life:
    """One pod that was there.

    Attributes:
        body: as it was last.
        gone: when it went, if it is not there any more.
        stale: a dead operator's call made it, after the next operator had begun.
        recorded: while it was there, its trial's record said that it runs.
    """

    body: Body
    gone: datetime | None = None
    stale: bool = False
    recorded: bool = False

    @property
    def name(self) -> str:
        return str(self.body["metadata"]["name"])

    @property
    def trial_uid(self) -> str:
        owners = self.body["metadata"]["ownerReferences"]
        return next(str(owner["uid"]) for owner in owners if owner["controller"])

    @property
    def start(self) -> datetime | None:
        return moment(self.body.get("status", {}).get("startTime"))

    @property
    def end(self) -> datetime | None:
        """When its container ended, or else when it went."""
        rows = self.body.get("status", {}).get("containerStatuses") or [{}]
        return moment(rows[0].get("state", {}).get("terminated", {}).get("finishedAt")) or self.gone


@dataclass
class Ledger:
    """All pods of a study that ever were, by uid."""

    parallelism: int
    lives: dict[str, Life] = field(default_factory=dict)
    # Who was alive when a pod came, itself included as the last.
    crowds: list[list[Life]] = field(default_factory=list)

    def seen(self, body: Body) -> None:
        """A pod is there, new or changed."""
        uid = body["metadata"]["uid"]
        if uid in self.lives:
            self.lives[uid].body = body
        else:
            alive = [o for o in self.lives.values() if o.gone is None and pods.is_alive(o.body)]
            self.lives[uid] = Life(body)
            self.crowds.append([*alive, self.lives[uid]])

    def gone(self, body: Body, now: datetime) -> None:
        """A pod is not there any more."""
        self.seen(body)
        self.lives[body["metadata"]["uid"]].gone = now

    def landed(self, body: Body) -> None:
        """A pod was made by a call that a dead operator had sent.

        One of that name may have been there before: an account is its name's, and now this one's.
        """
        for life in self.lives.values():
            if life.name == body["metadata"]["name"]:
                life.recorded = False
        self.seen(body)
        self.lives[body["metadata"]["uid"]].stale = True

    def written(self, trial: Body) -> None:
        """A trial's record was written."""
        status = trial["status"]
        name = f"{trial['metadata']['name']}-{status['attempt']}"
        for life in self.lives.values():
            if life.name == name and life.gone is None and status["state"] == "Running":
                life.recorded = True

    def check_crowds(self) -> None:
        """Never more pods than slots, nor two of one trial, but for what was under way."""
        for crowd in self.crowds:
            names_of_all = ", ".join(life.name for life in crowd)
            known = [life for life in crowd if not life.stale]
            assert len(known) <= self.parallelism, f"too many pods: {names_of_all}"
            trials = [life.trial_uid for life in known]
            assert len(set(trials)) == len(trials), f"two of one trial: {names_of_all}"


def check(study: Body, trials: Sequence[Body], ledger: Ledger, rounding: float = 0.0) -> None:
    """Everything that can be said without knowing of another run of the same study.

    Args:
        rounding: seconds by which two accounts of one pod may differ.

    Raises:
        AssertionError: something does not hold.
    """
    assert is_finished(study["status"])
    ledger.check_crowds()
    check_records(study, trials)
    engine = rebuilt(study, trials)
    check_end(study, engine)
    check_decisions(engine)
    check_pods(trials, ledger)
    check_observations(trials, ledger)
    check_account(study, trials, ledger, rounding)


def check_records(study: Body, trials: Sequence[Body]) -> None:
    """Every index once; every value once, numbered without a gap."""
    indices = [int(trial["spec"]["index"]) for trial in trials]
    count = study["spec"]["maxTrials"]
    if any(row["reason"] in CUT_SHORT for row in study["status"]["conditions"]):
        count = min(count, len(trials))
    assert indices == list(range(count)), indices
    sequences = [v["sequence"] for t in trials for v in t["status"].get("rungs", [])]
    assert sorted(sequences) == list(range(len(sequences))), f"sequence numbers {sequences}"
    for trial in trials:
        name, status = trial["metadata"]["name"], trial["status"]
        assert status["state"] in ("Paused", "Stopped", "Completed", "Failed"), name
        for before, after in pairwise(status.get("rungs", [])):
            assert before["level"] < after["level"], f"{name}: levels"
            assert before["sequence"] < after["sequence"], f"{name}: sequence"


def rebuilt(study: Body, trials: Sequence[Body]) -> Engine:
    """An engine that knows nothing but the records."""
    engine = Engine(parse_study(study).study)
    for trial in trials:
        item = msgspec.convert(trial, CustomObject)
        engine.put(parse_trial(item, engine).trial)
    return engine


def is_best(study: Body, trials: Sequence[Body], index: int) -> bool:
    """Whether it has the best value of all that are recorded."""
    best = rebuilt(study, [trial for trial in trials if trial.get("status")]).best
    return best is not None and best[2] == index


def check_end(study: Body, engine: Engine) -> None:
    """The study is over because its records say so, and for the reason that they give."""
    finish = engine.finish(Spent(reached=budget_reached(study)))
    assert finish is not None, "the study is over, but its records would go on"
    wanted = "Succeeded" if finish.succeeded else "Failed"
    rows = {row["type"]: (row["status"], row["reason"]) for row in study["status"]["conditions"]}
    assert rows[wanted] == ("True", finish.reason), rows
    assert study["status"]["trials"]["total"] == len(engine.trials)


def check_pods(trials: Sequence[Body], ledger: Ledger) -> None:
    """Nothing runs any more, and every pod is a trial's."""
    uids = {trial["metadata"]["uid"] for trial in trials}
    for life in ledger.lives.values():
        assert life.trial_uid in uids, f"{life.name} is nobody's"
        left = life.gone is None and pods.is_alive(life.body)
        assert not left, f"{life.name} outlives its study"


def check_observations(trials: Sequence[Body], ledger: Ledger) -> None:
    """What a pod has reported and was asked for is recorded with its value."""
    by_uid = {trial["metadata"]["uid"]: trial for trial in trials}
    for life in ledger.lives.values():
        status = by_uid[life.trial_uid]["status"]
        recorded = {v["resource"]: v["value"] for v in status.get("rungs", [])}
        for report in pods.reports(life.body):
            epochs, value = report["epochs"], report["loss"]
            if epochs not in pods.levels(life.body):
                continue
            if status["state"] == "Stopped" and epochs > max(recorded, default=0):
                continue  # it was not asked for any more
            failed = status["state"] == "Failed"
            passed_over = failed or any(resource > epochs for resource in recorded)
            if epochs not in recorded and life.gone is not None and passed_over:
                # Its pod went before anybody read it. No other one came as far, or it went on from
                # a checkpoint beyond, so that its first report was the value of that level.
                continue
            assert recorded.get(epochs) == value, f"{life.name} at {epochs}: {recorded}"


def check_account(study: Body, trials: Sequence[Body], ledger: Ledger, rounding: float) -> None:
    """The GPU seconds in the records are those for which the pods held their GPUs.

    A pod that went unseen may be charged until it was found missing.
    """
    end = moment(study["status"]["completionTime"])
    assert end is not None
    rows: dict[tuple[str, datetime | None], Body] = {}
    total = 0.0
    for trial in trials:
        name, status = trial["metadata"]["name"], trial["status"]
        sum_of_rows = 0.0
        for row in status.get("attempts", []):
            assert "endTime" in row, f"the account of {row['pod']} was never closed"
            rows[row["pod"], moment(row.get("startTime"))] = row
            sum_of_rows += row.get("gpuSeconds", 0.0)
        assert math.isclose(status["gpuSeconds"], sum_of_rows, abs_tol=1e-6), name
        total += status["gpuSeconds"]
    charged = study["status"].get("gpuSeconds", 0.0)
    assert abs(charged - total) < GPU_SECONDS_ROUNDED, f"study {charged}, trials {total}"
    for life in ledger.lives.values():
        check_life(life, rows.pop((life.name, life.start), None), end, rounding)
    assert not any(row.get("gpuSeconds") for row in rows.values()), f"nobody's: {rows}"


def check_life(life: Life, row: Mapping[str, Any] | None, end: datetime, rounding: float) -> None:
    """One pod's account."""
    if life.start is None:
        return
    if row is None:  # it came and went while nobody looked
        unseen = life.gone is not None and not life.recorded
        assert unseen or life.stale, f"{life.name} has no account"
        return
    assert life.end is not None
    charged, used = row.get("gpuSeconds", 0.0), (life.end - life.start).total_seconds()
    most = used if life.gone is None else (end - life.start).total_seconds() + 1.0
    slack = rounding + 1e-6
    assert used - slack <= charged <= most + slack, (
        f"{life.name} held its GPU for {used:.3f} s, {charged:.3f} s were charged"
    )


def decisions(trials: Sequence[Body]) -> list[Any]:
    """All that was decided about each trial, to be compared with another run's."""
    return [{"spec": trial["spec"], **_decided(trial["status"])} for trial in trials]


def _decided(status: Body) -> Body:
    keys = ["state", "targetLevel", "rungs", "reason"]
    if status["reason"] != Reason.STUDY_ENDED:  # which tells of the time that was used
        keys.append("message")
    return {key: status.get(key) for key in keys}


def compare(trials: Sequence[Body], undisturbed: Sequence[Body]) -> None:
    """The disturbed run has decided what the undisturbed one did.

    Raises:
        AssertionError: it has not.
    """
    pairs = zip(decisions(trials), decisions(undisturbed), strict=True)
    for index, (ours, theirs) in enumerate(pairs):
        assert ours == theirs, f"trial {index}:\n{ours}\nundisturbed:\n{theirs}"


def moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def trials_of(bodies: Sequence[Body], study: str) -> list[Body]:
    own = (t for t in bodies if t["metadata"]["labels"].get(names.STUDY_LABEL) == study)
    return sorted(own, key=lambda t: int(t["spec"]["index"]))
