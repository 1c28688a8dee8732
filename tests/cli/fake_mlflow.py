"""MLflow's client over a store in memory, with the limits that a tracking server has."""

import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import pytest


class MlflowException(Exception):  # MLflow's own name
    """With the words that are told."""

    @property
    def message(self) -> str:
        return str(self)


class Metric(NamedTuple):
    key: str
    value: float
    timestamp: int
    step: int


class Param(NamedTuple):
    key: str
    value: str


RunTag = Param


class Page(list[Any]):
    """Runs, and where the next ones are."""

    token: str | None = None


@dataclass
class Store:
    """Runs by id, each with its experiment's name; and the faults that are to come."""

    experiments: dict[str, str] = field(default_factory=dict)
    runs: dict[str, Any] = field(default_factory=dict)
    history: defaultdict[str, list[Metric]] = field(default_factory=lambda: defaultdict(list))
    page: int = 3
    writes: int = 0
    fails_at: int | None = None  # the write that fails

    def write(self) -> None:
        self.writes += 1
        if self.writes == self.fails_at:
            raise MlflowException("the server is away")

    # -- what MlflowClient does -----------------------------------------------------------------

    def get_experiment_by_name(self, name: str) -> Any:
        if name not in self.experiments:
            return None
        return SimpleNamespace(experiment_id=self.experiments[name], lifecycle_stage="active")

    def create_experiment(self, name: str) -> str:
        self.write()
        return self.experiments.setdefault(name, str(len(self.experiments)))

    def create_run(self, experiment: str, start: int, tags: dict[str, str], name: str) -> Any:
        self.write()
        id_ = f"run{len(self.runs)}"
        info = SimpleNamespace(run_id=id_, status="RUNNING", run_name=name, start_time=start)
        info.experiment_id, info.end_time = experiment, None
        data = SimpleNamespace(tags=dict(tags), params={}, metrics={})
        self.runs[id_] = SimpleNamespace(info=info, data=data)
        return self.runs[id_]

    def search_runs(
        self, experiments: list[str], query: str, max_results: int, page_token: str | None
    ) -> Page:
        key, value = query.removeprefix("tags.`").rstrip("'").split("` = '")
        found = [
            run
            for run in self.runs.values()
            if run.info.experiment_id in experiments and run.data.tags.get(key) == value
        ]
        first = int(page_token or 0)
        page = Page(found[first : first + self.page])
        page.token = str(first + self.page) if first + self.page < len(found) else None
        return page

    def get_metric_history(self, id_: str, key: str) -> list[Metric]:
        return [each for each in self.history[id_] if each.key == key]

    def log_batch(
        self, id_: str, metrics: Sequence[Metric], params: Sequence[Param], tags: Sequence[Param]
    ) -> None:
        self.write()
        assert len(metrics) + len(params) + len(tags) <= 1000
        assert len(params) <= 100
        assert len(tags) <= 100
        data = self.runs[id_].data
        for name, value in params:
            assert data.params.setdefault(name, value) == value, "a parameter never changes"
            assert len(value) <= 6000
        data.tags.update(tags)
        self.history[id_] += metrics
        data.metrics.update({each.key: each.value for each in metrics})

    def set_terminated(self, id_: str, status: str, end: int | None) -> None:
        self.write()
        self.runs[id_].info.status, self.runs[id_].info.end_time = status, end

    def update_run(self, id_: str, status: str) -> None:
        self.write()
        self.runs[id_].info.status = status

    def set_tag(self, id_: str, key: str, value: str) -> None:
        self.write()
        self.runs[id_].data.tags[key] = value


def install(monkeypatch: pytest.MonkeyPatch) -> Store:
    """`import mlflow` gives this store's client from now on."""
    store = Store()
    entities = {"Metric": _metric, "Param": Param, "RunTag": RunTag}
    for name, content in (
        ("mlflow", {"MlflowClient": lambda uri: store}),
        ("mlflow.entities", entities),
        ("mlflow.exceptions", {"MlflowException": MlflowException}),
    ):
        module = ModuleType(name)
        module.__dict__.update(content)
        monkeypatch.setitem(sys.modules, name, module)
    return store


def _metric(key: str, value: float, timestamp: int, step: int) -> Metric:
    return Metric(key, value, timestamp, step)
