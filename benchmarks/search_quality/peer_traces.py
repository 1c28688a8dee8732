"""Plays all traces with Syne Tune and writes its decisions; run by the peer's interpreter.

PYTHONPATH=operator:. PEER/bin/python -m benchmarks.search_quality.peer_traces FILE.json.gz
"""

import gzip
import json
import logging
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from syne_tune.backend.trial_status import Trial
from syne_tune.config_space import uniform
from syne_tune.optimizer.legacy_baselines import ASHA

from benchmarks.search_quality.traces import NEW, TRACES, Trace, play
from hyperband.core.records import Goal


class Peer:
    """Its scheduler, with random search."""

    def __init__(self, trace: Trace) -> None:
        resource = trace.resource
        self._r_max = int(resource.max)
        self._scheduler: Any = ASHA(
            config_space={"x": uniform(0.0, 1.0), "r_max": self._r_max},
            metric="value",
            mode="min" if trace.goal is Goal.MINIMIZE else "max",
            resource_attr="epochs",
            max_resource_attr="r_max",
            grace_period=int(resource.min),
            reduction_factor=trace.eta,
            brackets=1,
            type=trace.mode.lower(),
            random_seed=0,
        )
        self._trials: list[Trial] = []

    def next(self) -> int:
        answer = self._scheduler.suggest(len(self._trials))
        if not answer.spawn_new_trial_id:
            return int(answer.checkpoint_trial_id)
        trial = Trial(len(self._trials), answer.config, datetime.now(UTC))
        self._trials.append(trial)
        self._scheduler.on_trial_add(trial)
        return NEW

    def goes_on(self, trial: int, resource: float, value: float) -> bool:
        own, result = self._trials[trial], {"value": value, "epochs": int(resource)}
        decision: str = self._scheduler.on_trial_result(own, result)
        if resource == self._r_max:
            self._scheduler.on_trial_complete(own, result)
            return False
        if decision != "CONTINUE":
            self._scheduler.on_trial_remove(own)
        return decision == "CONTINUE"


def main(path: Path) -> None:
    """Writes one list of decisions a trace."""
    logging.disable(logging.WARNING)
    decisions = [play(Trace(n), Peer(Trace(n))) for n in range(TRACES)]
    text = json.dumps(decisions, separators=(",", ":"))
    path.write_bytes(gzip.compress(text.encode(), mtime=0))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
