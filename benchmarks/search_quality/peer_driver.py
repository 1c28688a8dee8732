"""Runs Syne Tune's methods in its own simulator; this file alone is run by the peer's interpreter.

Reads jobs from the standard input, one JSON object a line, and answers each with a line: the name
of the file that was written, or what went wrong. Time passes by the benchmark's own seconds alone:
all delays are 0, decisions take none, and the clock jumps from event to event.
"""

import logging
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

# Where the tuner puts its folders: not into the home folder.
SCRATCH = tempfile.TemporaryDirectory(prefix="syne-tune-")
os.environ["SYNETUNE_FOLDER"] = SCRATCH.name

from syne_tune import Tuner  # noqa: E402
from syne_tune.backend.simulator_backend.simulator_backend import SimulatorConfig  # noqa: E402
from syne_tune.blackbox_repository.blackbox import Blackbox  # noqa: E402
from syne_tune.blackbox_repository.simulated_tabular_backend import (  # noqa: E402
    UserBlackboxBackend,
)
from syne_tune.config_space import (  # noqa: E402
    choice,
    lograndint,
    loguniform,
    ordinal,
    randint,
    uniform,
)
from syne_tune.optimizer import legacy_baselines as baselines  # noqa: E402
from syne_tune.optimizer.schedulers.legacy_fifo import LegacyFIFOScheduler  # noqa: E402
from syne_tune.tuner_callback import TunerCallback  # noqa: E402

from benchmarks.search_quality.benchmark import Problem, Task, problem  # noqa: E402
from benchmarks.search_quality.runs import serve  # noqa: E402
from hyperband.backends.simulator.record import summarize  # noqa: E402
from hyperband.core.space import Float, Integer, Parameter, Value  # noqa: E402

R_MAX_KEY = "r_max"  # the entry of a configuration that says how far to train
SECONDS = "seconds"
NO_DELAYS = SimulatorConfig(0.0, 0.0, 0.0, 0.0, 0.0)
FAST_FITS = {"opt_warmstart": True, "opt_nstarts": 1}


class Surrogate(Blackbox):  # type: ignore[misc]  # untyped library
    """A benchmark of ours as the peer asks for it."""

    def __init__(self, given: Problem, space: Mapping[str, Any]) -> None:
        resource = given.resource
        super().__init__(
            configuration_space=dict(space),
            fidelity_space={resource.name: randint(1, int(resource.max))},
            objectives_names=[given.objective.metric, SECONDS],
        )
        self._given = given

    @property
    def fidelity_values(self) -> Any:
        return np.arange(1, int(self._given.resource.max) + 1)

    def _objective_function(
        self, configuration: dict[str, Any], fidelity: Any = None, seed: int | None = None
    ) -> Any:
        """All resources at once, (r_max, 2): objective and cumulative seconds."""
        curve = self._given.benchmark.curve(inside(self._given, configuration), 0)
        metric = curve["metrics"][self._given.objective.metric]
        return np.column_stack([metric, curve["seconds"]])


def inside(given: Task, configuration: Mapping[str, Any]) -> dict[str, Value]:
    """The configuration as ours, without what is inactive, which the peer's spaces do not know."""
    space = given.space
    values = {p.name: _inside(p, configuration[p.name]) for p in space.parameters}
    return space.complete(values, [0.5] * len(space.parameters))


def _inside(parameter: Parameter, value: Any) -> Value:
    """The nearest value that the parameter has: the peer's kernel densities leave its range."""
    plain: Value = value.item() if hasattr(value, "item") else value
    if not isinstance(parameter, Float | Integer) or isinstance(plain, str):
        return plain
    assert parameter.min is not None and parameter.max is not None
    nearest = min(max(plain, parameter.min), parameter.max)
    return round(nearest) if isinstance(parameter, Integer) else nearest


class Backend(UserBlackboxBackend):  # type: ignore[misc]
    """Real time does not pass."""

    def _advance_by_outside_time(self) -> None:
        pass

    def next_event(self) -> float:
        heap = self._simulator_state.event_heap
        return float(heap[0][0]) if heap else float("inf")


class Recorder(TunerCallback):  # type: ignore[misc]
    """Drives the clock, and writes down what ours writes down.

    Args:
        until: in simulated seconds.
        cap: in real seconds.
    """

    def __init__(self, given: Problem, backend: Backend, until: float, cap: float) -> None:
        self._given, self._backend = given, backend
        self._until, self._deadline = until, time.perf_counter() + cap
        self.capped = False
        self.incumbent: list[tuple[float, float]] = []
        self.trained: dict[int, float] = {}  # the newest resource of each trial
        self.units = 0.0
        self.busy = 0.0
        self._since: dict[int, float] = {}  # when each running trial got its worker
        self.ended: Counter[str] = Counter()
        self.given_up: set[int] = set()

    @property
    def now(self) -> float:
        return min(float(self._backend.time_keeper.time()), self._until)

    def over(self, status: Any) -> bool:
        """The stop criterion."""
        self.capped |= time.perf_counter() > self._deadline
        return self.capped or float(self._backend.time_keeper.time()) >= self._until

    def on_tuning_start(self, tuner: Any) -> None:
        if isinstance(tuner.scheduler, LegacyFIFOScheduler):
            tuner.scheduler.set_time_keeper(self._backend.time_keeper)
        self._backend.time_keeper.start_of_time()

    def on_tuning_sleep(self, sleep_time: float) -> None:
        keeper = self._backend.time_keeper
        keeper.advance_to(min(self._backend.next_event(), self._until))

    def on_start_trial(self, trial: Any) -> None:
        self._since[trial.trial_id] = self.now
        self.trained.setdefault(trial.trial_id, 0.0)

    def on_resume_trial(self, trial: Any) -> None:
        self.given_up.discard(trial.trial_id)
        self.on_start_trial(trial)

    def on_trial_result(self, trial: Any, status: str, result: Any, decision: str) -> None:
        at = float(result["st_tuner_time"])
        if at > self._until:
            return
        resource = float(result[self._given.resource.name])
        self.units += resource - self.trained[trial.trial_id]
        self.trained[trial.trial_id] = resource
        value, loss = float(result[self._given.objective.metric]), self._given.objective.loss
        if not self.incumbent or loss(value) < loss(self.incumbent[-1][1]):
            self.incumbent.append((at, value))
        if decision != "CONTINUE":
            self._release(trial.trial_id)
            if resource < self._given.resource.max:
                self.given_up.add(trial.trial_id)

    def on_trial_complete(self, trial: Any, result: Any) -> None:
        self._release(trial.trial_id)

    def close(self) -> None:
        for trial in list(self._since):
            self._release(trial)

    def _release(self, trial: int) -> None:
        if trial in self._since:
            self.busy += self.now - self._since.pop(trial)


class Stopwatch:
    """Real seconds of each call of a method, suggestions of new configurations apart."""

    def __init__(self) -> None:
        self.all: list[float] = []
        self.suggestions: list[float] = []

    def watch(self, scheduler: Any) -> None:
        """Replaces the methods by ones that are timed."""
        suggest, judge = scheduler.suggest, scheduler.on_trial_result

        def timed_suggest(*args: Any, **options: Any) -> Any:
            answer, spent = _timed(lambda: suggest(*args, **options))
            self.all.append(spent)
            if answer is not None and answer.spawn_new_trial_id:
                self.suggestions.append(spent)
            return answer

        def timed_judge(*args: Any, **options: Any) -> Any:
            answer, spent = _timed(lambda: judge(*args, **options))
            self.all.append(spent)
            return answer

        scheduler.suggest, scheduler.on_trial_result = timed_suggest, timed_judge


def _timed(call: Callable[[], Any]) -> tuple[Any, float]:
    started = time.perf_counter()
    answer = call()
    return answer, time.perf_counter() - started


def config_space(parameters: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """`spec.parameters` as the peer's space. It knows no conditions: all parameters are drawn."""
    space: dict[str, Any] = {}
    for row in parameters:
        match row["type"], row.get("scale", "Linear"):
            case "Float", "Linear":
                space[row["name"]] = uniform(row["min"], row["max"])
            case "Float", "Log":
                space[row["name"]] = loguniform(row["min"], row["max"])
            case "Integer", "Linear":
                space[row["name"]] = randint(row["min"], row["max"])
            case "Integer", "Log":
                space[row["name"]] = lograndint(row["min"], row["max"])
            case "Categorical", _:
                space[row["name"]] = choice(row["values"])
            case "Ordinal", _:
                space[row["name"]] = ordinal(row["values"], kind="equal")
            case kind, scale:
                raise ValueError(f"{row['name']}: the peer has no {kind} of scale {scale}")
    return space


def scheduler(method: str, given: Task, space: Mapping[str, Any], seed: int) -> Any:
    """A method of the peer by our name for it, with the options of the field's protocol.

    No point is given to try first (its default is the middle of the space), as ours has none.
    """
    resource = given.resource
    common: dict[str, Any] = {
        "config_space": {**space, R_MAX_KEY: int(resource.max)},
        "metric": given.objective.metric,
        "mode": "min" if given.objective.loss(1.0) > 0 else "max",
        "random_seed": seed,
        "points_to_evaluate": [],
        "max_resource_attr": R_MAX_KEY,
    }
    rungs = {
        **common,
        "resource_attr": resource.name,
        "grace_period": int(resource.min),
        "reduction_factor": 3,
    }
    asynchronous = {**rungs, "brackets": 1}
    make: dict[str, Callable[[], Any]] = {
        "random": lambda: baselines.RandomSearch(**common),
        "evolution": lambda: baselines.REA(**common),
        "bo": lambda: baselines.BayesianOptimization(**common),
        "hyperband": lambda: baselines.SyncHyperband(**rungs),
        "bohb-synchronous": lambda: baselines.SyncBOHB(**rungs),
        "asha-stopping": lambda: baselines.ASHA(**asynchronous, type="stopping"),
        "asha-promotion": lambda: baselines.ASHA(**asynchronous, type="promotion"),
        "bohb": lambda: baselines.BOHB(**asynchronous, type="stopping"),
        "mobster-stopping": lambda: baselines.MOBSTER(**asynchronous, type="stopping"),
        "mobster-promotion": lambda: baselines.MOBSTER(**asynchronous, type="promotion"),
        "mobster-stopping-fast": lambda: baselines.MOBSTER(
            **asynchronous, type="stopping", search_options=FAST_FITS
        ),
        "mobster-promotion-fast": lambda: baselines.MOBSTER(
            **asynchronous, type="promotion", search_options=FAST_FITS
        ),
    }
    return make[method]()


def run(job: Mapping[str, Any]) -> dict[str, Any]:
    """One study; the run as `hyperband simulate` would write it, and whether it was cut short."""
    given = problem(job["task"])
    space = config_space(given.parameters)
    np.random.seed(job["seed"])  # the peer draws brackets from the global generator
    backend = Backend(
        Surrogate(given, space),
        elapsed_time_attr=SECONDS,
        max_resource_attr=R_MAX_KEY,
        seed=0,
        simulator_config=NO_DELAYS,
        tuner_sleep_time=0,
    )
    method = scheduler(job["method"], given, space, job["seed"])
    stopwatch = Stopwatch()
    stopwatch.watch(method)
    recorder = Recorder(given, backend, job["seconds"], job["cap"])
    Tuner(
        trial_backend=backend,
        scheduler=method,
        stop_criterion=recorder.over,
        n_workers=job["workers"],
        sleep_time=0,
        callbacks=[recorder],
        save_tuner=False,
    ).run()
    reached = recorder.now
    recorder.close()
    stopped = sum(recorder.trained[trial] for trial in recorder.given_up)
    completed = sum(units >= given.resource.max for units in recorder.trained.values())
    record = {
        "seed": job["seed"],
        "workers": job["workers"],
        "seconds": reached,
        "incumbent": recorder.incumbent,
        "trials": len(recorder.trained),
        "completed": completed,
        "resourceUnits": recorder.units,
        "stoppedUnits": stopped,
        "utilization": recorder.busy / (reached * job["workers"] or 1.0),
        "decisions": summarize(stopwatch.all),
        "suggestions": summarize(stopwatch.suggestions),
    }
    return {"run": record, "cut": recorder.capped}


def answer(run: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> None:
    """Answers jobs until there are no more; the peer prints what it finds to nowhere."""
    logging.disable(logging.WARNING)
    answers = sys.stdout
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        sys.stdout = nowhere
        serve(run, sys.stdin, answers)


if __name__ == "__main__":
    answer(run)
