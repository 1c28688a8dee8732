"""Prometheus scrapes the real operator; dashboard, alerts and names are held against its data."""

import asyncio
import json
import math
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks import server
from hack.cluster import gobuild
from hyperband.api import names
from hyperband.api.status import is_finished
from hyperband.backends.kubernetes.attempts import is_over
from hyperband.backends.kubernetes.client import Client
from hyperband.backends.kubernetes.connection import connect
from hyperband.backends.kubernetes.objects import PODS, STUDIES, CustomObject, Pod
from hyperband.backends.kubernetes.recorder import EVENTS
from tests.observability.page import documented, exposed
from tests.observability.world import (
    DASHBOARD,
    PARALLELISM,
    RULES,
    TEAM,
    TRIALS,
    Kubelet,
    Prometheus,
    eventually,
    make_namespaces,
    make_study,
    operator,
    prometheus,
    ready,
    text,
)

pytestmark = pytest.mark.cluster

FALSE_ALARMS = {"HyperbandOperatorDown", "HyperbandNoLeader", "HyperbandApiForbidden"}
VARIABLES = {
    "$__rate_interval": "5s",
    "$__range": "10m",
    "$namespace": ".*",
    "$study": ".*",
}


def promtool(*words: str, given: str | None = None) -> str:
    """What it says.

    Raises:
        AssertionError: it is not content.
    """
    done = subprocess.run(
        [str(gobuild.PROMTOOL.binary), *words], input=given, capture_output=True, text=True
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


@pytest.fixture(scope="module", autouse=True)
def programs() -> None:
    gobuild.build([gobuild.PROMTOOL, gobuild.PROMETHEUS])


async def test_dashboard_alerts_and_names_on_what_prometheus_scraped(tmp_path: Path) -> None:
    with server.running() as api:
        async with Client(connect(api.kubeconfig)) as client:
            await make_namespaces(client)
            await check_all(client, api.kubeconfig, tmp_path)


async def check_all(client: Client, kubeconfig: Path, folder: Path) -> None:
    (port,), log = server.free_ports(1), folder / "operator.log"
    kubelet = Kubelet(client)
    playing = asyncio.create_task(kubelet.run())
    async with prometheus(port, folder) as seen:
        started = time.time()
        with operator(kubeconfig, port, log):
            await eventually("the operator is ready", lambda: ready(port))
            await make_study(client, "held", serviceAccountName="absent")
            await make_study(client, "good")
            trials = 'sum(hyperband_study_trials{study="good"}) > 4'
            await eventually("trials have started", lambda: seen.value(trials))
            # A decision that is written, but not answered at the end, has no line in the log.
            await kubelet.still.acquire()
            await eventually("nothing more is to be started", lambda: full(client))
        kubelet.still.release()
        with operator(kubeconfig, port, log):  # it is started again, and counts on
            await eventually("the study is over", lambda: over(client))
            done = 'hyperband_studies{condition="Finished",status="True"} == 1'
            await eventually("its end is scraped", lambda: seen.value(done))
            scraped = await text(port)
            checked = await check_dashboard(seen, started)
            await check_alerts(seen)
    playing.cancel()
    await asyncio.gather(playing, return_exceptions=True)
    lint = promtool("check", "metrics", given=scraped)
    assert not lint.strip(), lint
    assert checked > 30
    named = documented()
    everywhere = named["hyperband_leader"]._replace(labels=frozenset())  # it has no list
    assert exposed(scraped) == named | {"hyperband_leader": everywhere}
    check_log(log)
    await check_events(client, log)


async def full(client: Client) -> bool:
    """Whether all slots are taken, or all trials were started."""
    pods = [pod async for page in client.pages(PODS, Pod, TEAM) for pod in page.items]
    started = {pod.metadata.labels[names.TRIAL_LABEL] for pod in pods}
    return sum(not is_over(pod) for pod in pods) == PARALLELISM or len(started) == TRIALS


async def over(client: Client) -> bool:
    study = await client.get(STUDIES, TEAM, "good", CustomObject)
    return is_finished(study.status)


async def check_dashboard(seen: Prometheus, started: float) -> int:
    """Every query is valid and has data; returns how many there are."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    queries = [t["expr"] for panel in panels for t in panel.get("targets", ())]
    now = time.time()
    empty = []
    for query in queries:
        asked = query
        for name, value in VARIABLES.items():
            asked = asked.replace(name, value)
        assert "$" not in asked, asked
        when = {"start": f"{started}", "end": f"{now}", "step": "2"}
        result = (await seen.ask("query_range", query=asked, **when))["result"]
        values = [float(value) for series in result for _, value in series["values"]]
        if not any(math.isfinite(value) for value in values):
            empty.append(asked)
    assert not empty, "\n".join(empty)
    for query in templates():
        labels = await seen.ask(f"label/{query}/values")
        assert labels, query
    return len(queries)


def templates() -> list[str]:
    variables = json.loads(DASHBOARD.read_text())["templating"]["list"]
    found = [v["query"]["query"] for v in variables if v["type"] == "query"]
    return [query.rpartition(",")[2].strip(" )") for query in found]


async def check_alerts(seen: Prometheus) -> None:
    """All rules were evaluated, and the study that is held is noticed."""

    async def only_that() -> bool:
        labels = [alert["labels"] for alert in (await seen.ask("alerts"))["alerts"]]
        held = [each for each in labels if each["alertname"] == "HyperbandStudyHeld"]
        noticed = {each["alertname"] for each in labels}
        right = [(each["namespace"], each["study"]) for each in held] == [(TEAM, "held")]
        return right and not noticed & FALSE_ALARMS

    (group,) = (await seen.ask("rules"))["groups"]
    rules = {rule["name"]: rule for rule in group["rules"]}
    assert len(rules) == len(yaml.safe_load(RULES.read_text())["groups"][0]["rules"])
    assert {name: rule["health"] for name, rule in rules.items()} == dict.fromkeys(rules, "ok")
    # A scrape that takes more than its second looks like an operator that is gone, for a second.
    await eventually("the study that is held is noticed alone", only_that)


def check_log(log: Path) -> None:
    """Every line is JSON, and those of a trial's decisions have study and trial."""
    lines: list[dict[str, Any]] = [json.loads(line) for line in log.read_text().splitlines()]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    decisions = [line for line in lines if "NewConfiguration" in line["message"]]
    assert len(decisions) == TRIALS
    for line in decisions:
        assert (line["namespace"], line["study"]) == (TEAM, "good")
        assert line["trial"] in line["message"]
    unexpected = [line for line in lines if "exception" in line]
    assert not unexpected


async def check_events(client: Client, log: Path) -> None:
    """One for each reason of a study, which both operators have counted in.

    What the first one had counted and not yet written went with it.
    """
    found = [e async for page in client.pages(EVENTS, dict[str, Any], TEAM) for e in page.items]
    kinds = Counter((e["involvedObject"]["name"], e["reason"]) for e in found)
    assert kinds, "there are none"
    assert set(kinds.values()) == {1}, kinds
    counts = {e["reason"]: e["count"] for e in found if e["involvedObject"]["name"] == "good"}
    _, first, second = log.read_text().split("watching all namespaces")
    assert "(NewConfiguration)" in first
    assert second.count("(NewConfiguration)") < counts["NewConfiguration"] <= TRIALS


def test_the_rules_are_valid_and_fire_when_they_should() -> None:
    cases = Path(__file__).with_name("alerts.yaml")
    assert "SUCCESS" in promtool("check", "rules", str(RULES))
    assert "SUCCESS" in promtool("test", "rules", str(cases))
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    for rule in group["rules"]:
        assert f'"{rule["alert"]}"' in cases.read_text(), "an alert that no case is about"
