"""Measures Syne Tune's methods; like its counterpart in `search_quality`, run by its interpreter.

Its scheduler is played as a tuner would: slots are filled, and of the trials that run one after
the other reaches its next rung.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
from syne_tune.backend.trial_status import Trial

from benchmarks.decision_latency import memory
from benchmarks.decision_latency.measurements import LEAST
from benchmarks.decision_latency.samples import Samples
from benchmarks.decision_latency.tasks import task, value
from benchmarks.player import Cost, timed
from benchmarks.search_quality import peer_driver
from benchmarks.search_quality.benchmark import Task
from hyperband.core.seeds import generator

NEVER = 10**9


class PeerPlayer:
    """Plays the tuner of one of the peer's schedulers."""

    def __init__(self, scheduler: Any, given: Task, slots: int, seed: int) -> None:
        self.scheduler = scheduler
        self.values = 0  # recorded at rungs
        self._given, self._slots = given, slots
        self._random = generator(seed, 0, "player")
        self._levels = [*scheduler.rung_levels, scheduler.max_t]
        self._active: list[Trial] = []
        self._trials: dict[int, Trial] = {}
        self._trained: dict[int, int] = {}

    def play(self) -> list[Cost]:
        """Fills the slots, then lets one value arrive; what new configurations have cost."""
        costs = []
        while len(self._active) < self._slots:
            answer, cost = timed(lambda: self.scheduler.suggest(len(self._trials)))
            if answer.spawn_new_trial_id:
                costs.append(cost)
                trial = Trial(len(self._trials), answer.config, datetime.now(UTC))
                self.scheduler.on_trial_add(trial)
            else:
                known = self._trials[answer.checkpoint_trial_id]
                trial = Trial(known.trial_id, answer.config or known.config, known.creation_time)
            self._trials[trial.trial_id] = trial
            self._active.append(trial)
        self._arrive()
        return costs

    def _arrive(self) -> None:
        given = self._given
        trial = self._active.pop(int(self._random.integers(len(self._active))))
        before = self._trained.get(trial.trial_id, 0)
        level = next(level for level in self._levels if level > before)
        self._trained[trial.trial_id] = level
        configuration = {p.name: trial.config[p.name] for p in given.space.parameters}
        reached = value(given, peer_driver.inside(given, configuration), level)
        result = {given.objective.metric: reached, given.resource.name: level}
        if self.scheduler.on_trial_result(trial, result) == "CONTINUE":
            self._active.append(trial)
        elif level == self._levels[-1]:
            self.scheduler.on_trial_complete(trial, result)
        self.values += 1


def at_random(searcher: Any) -> Callable[[], None]:
    """Makes a searcher draw from the prior alone. Returns what makes it search again."""
    for name in ("num_initial_random_choices", "num_min_data_points"):
        if hasattr(searcher, name):
            usual = getattr(searcher, name)
            setattr(searcher, name, NEVER)
            return lambda: setattr(searcher, name, usual)
    return lambda: None


def run(job: Mapping[str, Any]) -> dict[str, Any]:
    """Seconds of each suggestion; the first one, for which nothing is kept yet, apart."""
    before = memory.peak()
    given = task(job["task"])
    np.random.seed(job["seed"])  # the peer draws brackets from the global generator
    space = peer_driver.config_space(given.parameters)
    scheduler = peer_driver.scheduler(job["method"], given, space, job["seed"])
    player = PeerPlayer(scheduler, given, job["pending"] + 1, job["seed"])
    player.play()  # the searcher is made with the first suggestion
    search = at_random(scheduler.searcher)
    while player.values < job["observations"]:
        player.play()
    search()
    samples, first = Samples(), None
    while len(samples.cpu) < job["suggestions"] and not samples.enough(LEAST, job["cap"]):
        for cost in player.play():
            if first is None:
                first = cost.cpu
            else:
                samples.add(cost)
    return {
        "latency": {
            **samples.record(),
            "first": first,
            "values": player.values,
            "memory": memory.peak(),
            "memoryBefore": before,
        }
    }


if __name__ == "__main__":
    peer_driver.answer(run)
