"""docs/how-to/observability.md lists what there is: metrics, alerts, log fields and events."""

import json
import logging
import re
import sys
from typing import Any

import yaml

from hack.cluster.paths import REPOSITORY
from hyperband.backends.kubernetes.telemetry.context import about
from hyperband.backends.kubernetes.telemetry.logs import JsonLines
from hyperband.backends.kubernetes.telemetry.metrics import Metrics
from hyperband.backends.kubernetes.telemetry.process import of_process
from hyperband.core.decisions import Reason
from tests.kubernetes.fake_cluster import NAMESPACE, study_body
from tests.observability.page import TEXT, documented, exposed
from tests.observability.world import RULES

STATUS = {
    "best": {"value": 0.5},
    "brackets": [{"bracket": 0, "rungs": [{"resource": 1.0, "trials": 3, "paused": 2}]}],
    "conditions": [{"type": "Ready", "status": "False", "reason": "PodRejected"}],
}


class Heard:
    """What the metrics ask an informer for."""

    age = 1.0

    def __len__(self) -> int:
        return 3


class Sent:
    """What they ask a transport for."""

    def __init__(self) -> None:
        self.requests = {("get", "pods", 200): 3}


class Process:
    """One for a list of namespaces."""

    def leading(self) -> dict[str | None, bool]:
        return {NAMESPACE: True, "another": False}

    def informers(self) -> dict[str, list[Any]]:
        return {"pods": [Heard()]}

    def waiting(self) -> tuple[int, int]:
        return 1, 2


async def everything() -> str:
    """A scrape of an operator with a study that shows all that a study may show."""
    metrics = Metrics()
    metrics.studies.begin(NAMESPACE, "s", study_body() | {"status": STATUS})
    metrics.request_answered("get", 0.1)
    metrics.read_from(of_process([Sent()], Process()))  # type: ignore[list-item]
    return (await metrics.text()).decode()


async def test_every_metric_is_described_as_it_is() -> None:
    assert exposed(await everything()) == documented()


def test_every_alert_is_described() -> None:
    (group,) = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    rules = {rule["alert"]: rule["labels"]["severity"] for rule in group["rules"]}
    assert dict(re.findall(r"^\| `(Hyperband\w+)` \| (\w+) \|", TEXT, re.MULTILINE)) == rules


def test_every_field_of_the_log_is_described() -> None:
    try:
        raise ValueError("odd")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "x.py", 1, "m", (), sys.exc_info())
    with about("team", "digits", "digits-7"):
        line = json.loads(JsonLines().format(record))
    rows = TEXT.partition("| field | is |")[2].partition("\n\n")[0].splitlines()
    described = [re.findall(r"`(\w+)`", row.split("|")[1]) for row in rows if "`" in row]
    assert sorted(name for row in described for name in row) == sorted(line)


def test_every_event_is_described() -> None:
    named = set(re.findall(r"`(\w+)`", TEXT.partition("\n## Events")[2]))
    sources = (REPOSITORY / "operator/hyperband").rglob("*.py")
    noted = re.compile(r'\.note\(\s*"(\w+)"')
    reasons = {r for path in sources for r in noted.findall(path.read_text(encoding="utf-8"))}
    assert len(reasons) > 5, "nothing was found"
    silent = {Reason.ATTEMPT_RUNNING}  # its pod has an event of its own
    assert (reasons | set(Reason)) - silent <= named
