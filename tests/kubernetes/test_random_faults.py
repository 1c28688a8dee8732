"""Studies under random faults of the API server, kills of the operator and ends of pods.

Replay a failing one alone with

    HYPERBAND_FAULT_SEED=123 pytest tests/kubernetes/test_random_faults.py
"""

import os
import random
from collections import Counter

import pytest

from hyperband.backends.kubernetes.api_errors import (
    Conflict,
    Forbidden,
    Invalid,
    ServerError,
    TooManyRequests,
    Unreachable,
    error_from,
)
from hyperband.backends.kubernetes.objects import PODS
from hyperband.core.schedulers import SCHEDULERS
from tests.kubernetes.fake_cluster import Body, Killed, World, overdue, study_body

STUDIES, CHUNK = 300, 50
REPLAY = os.environ.get("HYPERBAND_FAULT_SEED")
CHUNKS = [range(first, first + CHUNK) for first in range(0, STUDIES, CHUNK)]
if REPLAY:
    CHUNKS = [range(int(REPLAY), int(REPLAY) + 1)]

FAULTS: dict[str, list[Exception | Killed]] = {
    "before": [
        Conflict(409, "Conflict"),
        Forbidden(403, "Forbidden", "no"),
        Invalid(422, "Invalid", "no"),
        ServerError(500),
        TooManyRequests(429),
        Unreachable("cut"),
        error_from(b'{"message": "a webhook says no"}', 400),
        Killed(),
    ],
    "after": [Unreachable("cut"), Killed()],
}


class Troubled(World):
    """A world in which anything may happen at any time until it calms down."""

    def __init__(self, seed: int) -> None:
        self.dice = dice = random.Random(seed)
        self.parallelism, self.max_trials = dice.randint(1, 4), dice.randint(4, 9)
        mode = dice.choice(list(SCHEDULERS))
        super().__init__(
            study_body(
                resource={"name": "epochs", "min": 1, "max": dice.choice([3, 9])},
                hyperband={"mode": mode, "brackets": 1 if mode == "None" else dice.randint(1, 2)},
                searcher={"seed": seed},
                parallelism=self.parallelism,
                maxTrials=self.max_trials,
                failurePolicy={"retries": 1, "maxFailedTrials": 100},
            )
        )
        self.rate = dice.choice([0.01, 0.05, 0.2])
        self.refused = ""  # the name of an object whose writes all fail for a while
        self.seen: Counter[str] = Counter()
        self.client.fault = self.strike

    def strike(self, when: str, verb: str, plural: str, name: str) -> None:
        if when == "before" and verb in ("create", "status") and name == self.refused:
            self.seen["refused"] += 1
            raise error_from(b'{"message": "this one never"}', self.dice.choice([400, 403, 500]))
        # Refused before anything was started, a study may well fail: that has tests of its own.
        if verb == "dry-run" or self.dice.random() >= self.rate:
            return
        error = self.dice.choice(FAULTS[when])
        self.seen[type(error).__name__] += 1
        raise error

    def live(self) -> None:
        """Pods take their next step, or meet their fate."""
        if self.dice.random() < 0.1 and not self.refused:
            trial, attempt = self.dice.randrange(self.max_trials), self.dice.randrange(2)
            self.refused = self.dice.choice([f"s-{trial}", f"s-{trial}-{attempt}"])
        elif self.dice.random() < 0.1:
            self.refused = ""
        for pod in self.client.bodies(PODS):
            if self.dice.random() < 0.6:
                self.move(pod)

    def move(self, pod: Body) -> None:
        phase = pod.get("status", {}).get("phase")
        ending = "deletionTimestamp" in pod["metadata"]
        fate = self.dice.random()
        if ending or overdue(pod):
            if fate < 0.5:
                (self.remove if ending else self.expire)(pod)
        elif phase is None:
            self.set(pod, phase="Running")
        elif phase != "Running":
            return
        elif fate < 0.6:
            self.set(pod, phase="Succeeded", reports=[self.report(pod)])
        elif fate < 0.7:
            self.set(pod, reports=[self.report(pod)])
        elif fate < 0.75:
            self.seen["failed"] += 1
            self.set(pod, phase="Failed")
        elif fate < 0.8:
            self.seen["deleted"] += 1
            self.set(pod, deleting=True)
        elif fate < 0.85:
            self.seen["vanished"] += 1
            self.remove(pod)

    def calm(self) -> None:
        self.client.fault = lambda *_: None


async def check(world: Troubled) -> Counter[str]:
    rounds = 0
    while world.condition("Finished") != "True":
        rounds += 1
        assert rounds < 3000, f"stuck: {world.study.get('status')}"
        if rounds == 150:
            world.calm()
        try:
            await world.step()
        except Killed:
            world.start()
        world.live()
    trials = world.trials
    assert [t["spec"]["index"] for t in trials] == list(range(world.max_trials))
    values = sorted(v["sequence"] for t in trials for v in t["status"].get("rungs", []))
    assert values == list(range(len(values))), "every value once, none lost"
    assert world.client.most_alive <= world.parallelism
    for trial in trials:
        assert trial["status"]["state"] in ("Paused", "Stopped", "Completed", "Failed")
        assert trial["status"]["failures"] <= 2
    living = [p for p in world.client.bodies(PODS) if p["status"]["phase"] == "Running"]
    assert not living, "no pod outlives its study"
    world.seen["studies"] += 1
    return world.seen


@pytest.mark.parametrize("seeds", CHUNKS, ids=lambda r: f"{r.start}-{r.stop - 1}")
async def test_random_faults(seeds: range) -> None:
    seen: Counter[str] = Counter()
    for seed in seeds:
        try:
            seen += await check(Troubled(seed))
        except Exception as error:
            again = f"replay it with HYPERBAND_FAULT_SEED={seed}"
            raise AssertionError(f"study {seed}: {error!r}; {again}") from error
    if not REPLAY:
        wanted = {type(error).__name__ for errors in FAULTS.values() for error in errors}
        assert wanted | {"refused", "failed", "deleted", "vanished"} <= set(seen)
