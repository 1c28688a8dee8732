"""What the metrics say of studies, pods and the process."""

import asyncio
import gc
import weakref
from collections.abc import Mapping
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from hyperband.backends.kubernetes.manager import Manager
from hyperband.backends.kubernetes.objects import PODS, Pod
from hyperband.backends.kubernetes.telemetry.figures import DECISIONS, StudyFigures
from hyperband.backends.kubernetes.telemetry.metrics import Metrics
from hyperband.backends.kubernetes.telemetry.pods import PodFigures, PodState, state
from hyperband.backends.kubernetes.telemetry.process import of_process
from hyperband.backends.kubernetes.telemetry.studies import KEEP_SECONDS
from hyperband.backends.kubernetes.workers import Pools
from hyperband.core.records import Fit
from tests.kubernetes.fake_cluster import NAMESPACE, START, Body, World, as_, study_body

PLACE = {"namespace": NAMESPACE, "study": "s"}


async def scrape(metrics: Metrics) -> dict[str, list[tuple[Mapping[str, str], float]]]:
    """All samples by name."""
    found: dict[str, list[tuple[Mapping[str, str], float]]] = {}
    for family in text_string_to_metric_families((await metrics.text()).decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


async def value(metrics: Metrics, name: str, **labels: str) -> float:
    """The sum of all samples of that name with these labels."""
    samples = (await scrape(metrics)).get(name, [])
    matching = [v for found, v in samples if labels.items() <= found.items()]
    assert matching, f"{name} {labels} is not there: {samples}"
    return sum(matching)


def gpu_study(**spec: Any) -> Body:
    container = {"name": "train", "image": "trainer"}
    container["resources"] = {"limits": {"nvidia.com/gpu": "2"}}  # type: ignore[assignment]
    return study_body(trialTemplate={"spec": {"containers": [container]}}, **spec)


async def test_a_new_study_shows_everything_at_0() -> None:
    world = World(study_body(maxTrials=9))
    metrics = world.cluster.metrics
    samples = await scrape(metrics)
    decisions = samples["hyperband_decisions_total"]
    assert len(decisions) == len(DECISIONS)
    for name in (
        "hyperband_decisions_total",
        "hyperband_attempts_ended_total",
        "hyperband_used_gpu_seconds_total",
        "hyperband_wasted_gpu_seconds_total",
        "hyperband_study_saved_gpu_seconds",
        "hyperband_study_trials",
        "hyperband_study_pods",
    ):
        assert samples[name], name
        assert all(v == 0 for _, v in samples[name]), name
        assert all(found.items() >= PLACE.items() for found, _ in samples[name])
    assert await value(metrics, "hyperband_study_max_trials", **PLACE) == 9
    assert "hyperband_study_best_value" not in samples


async def test_a_study_s_decisions_trials_and_rungs() -> None:
    world = World()
    await world.run()
    metrics, status = world.cluster.metrics, world.study["status"]
    assert await value(metrics, "hyperband_decisions_total", action="Start") == 4
    paused = await value(metrics, "hyperband_decisions_total", reason="RungReached")
    assert paused == 4
    for key in ("completed", "paused"):
        found = await value(metrics, "hyperband_study_trials", state=key.capitalize())
        assert found == status["trials"][key]
    assert await value(metrics, "hyperband_study_rung_trials", bracket="1", level="1") == 4
    assert await value(metrics, "hyperband_study_best_value") == status["best"]["value"]
    assert await value(metrics, "hyperband_studies", condition="Succeeded", status="True") == 1
    assert await value(metrics, "hyperband_studies", condition="Ready", status="False") == 0
    ended = await value(metrics, "hyperband_attempts_ended_total", outcome="Succeeded")
    assert ended == 4 + status["promotions"]


async def test_decision_latency_is_from_the_news_to_the_written_decision() -> None:
    world = World(study_body(maxTrials=1, parallelism=1))
    await world.step()
    await world.step()  # with the news of its pod's creation
    pod = world.client.bodies(PODS)[0]
    world.set(pod, phase="Running")
    world.seconds += 2.0  # the task has other things to do
    await world.step()
    assert await value(world.cluster.metrics, "hyperband_decision_latency_seconds_count") == 1
    assert await value(world.cluster.metrics, "hyperband_decision_latency_seconds_sum") == 2.0


async def test_gpu_seconds_used_wasted_and_saved() -> None:
    world = World(gpu_study(failurePolicy={"retries": 1}))
    metrics = world.cluster.metrics
    await world.step()
    first = world.client.bodies(PODS)[0]
    for pod in world.client.bodies(PODS):
        world.set(pod, phase="Running")
    world.seconds += 100.0
    world.set(first, phase="Failed")
    await world.step()
    failed = await value(metrics, "hyperband_wasted_gpu_seconds_total", outcome="Failed")
    assert failed == pytest.approx(2 * world_seconds(first))
    assert await value(metrics, "hyperband_wasted_gpu_seconds_total", outcome="Disrupted") == 0
    await world.run()
    status = world.study["status"]
    used = await value(metrics, "hyperband_study_used_gpu_seconds")
    assert used == status["gpuSeconds"] > failed
    assert await value(metrics, "hyperband_used_gpu_seconds_total") == pytest.approx(used)
    paused = status["trials"]["paused"]
    expected = 2 * paused * status["gpuSeconds"] / status["resourceUnits"]
    assert paused > 0
    saved = await value(metrics, "hyperband_study_saved_gpu_seconds")
    assert saved == pytest.approx(expected, rel=1e-3)


def world_seconds(pod: Body) -> float:
    """For how long a pod has held its node, by its status."""
    ended = pod["status"]["containerStatuses"][0]["state"]["terminated"]["finishedAt"]
    return (as_datetime(ended) - START).total_seconds()


def as_datetime(text: str) -> Any:
    return type(START).fromisoformat(text)


async def test_a_counter_of_gpu_seconds_never_falls() -> None:
    body = study_body()
    figures = StudyFigures(NAMESPACE, "s", body | {"status": {"gpuSeconds": 50.0}})
    seen = []
    for account in (60.0, 58.0, 59.0, 61.0):
        figures.take_in(body | {"status": {"gpuSeconds": account}})
        seen.append(figures.used)
    assert seen == [10.0, 10.0, 10.0, 11.0], "what was used before is not counted again"


async def test_the_series_of_a_study_that_is_over_go_after_a_while() -> None:
    world = World()
    await world.run()
    metrics = world.cluster.metrics
    world.cluster.metrics.studies._monotonic = lambda: world.seconds
    assert await value(metrics, "hyperband_study_trials") == 4
    world.seconds += KEEP_SECONDS
    samples = await scrape(metrics)
    assert "hyperband_study_trials" not in samples
    assert await value(metrics, "hyperband_studies", condition="Finished", status="True") == 1


async def test_a_study_that_was_over_when_the_process_began_has_no_series() -> None:
    world = World()
    await world.run()
    world.start()
    samples = await scrape(world.cluster.metrics)
    assert "hyperband_study_trials" not in samples
    assert "hyperband_decisions_total" not in samples


async def test_a_deleted_study_counts_no_more_and_goes_after_a_while() -> None:
    seconds = 0.0
    metrics = Metrics(lambda: START, lambda: seconds)
    figures = metrics.studies.begin(NAMESPACE, "s", study_body())
    figures.take_in(
        study_body() | {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    )
    assert await value(metrics, "hyperband_studies", condition="Ready", status="True") == 1
    metrics.studies.end(NAMESPACE, "s")
    samples = await scrape(metrics)
    assert sum(v for _, v in samples["hyperband_studies"]) == 0
    assert samples["hyperband_decisions_total"], "the last counts are still to be scraped"
    seconds = KEEP_SECONDS
    assert "hyperband_decisions_total" not in await scrape(metrics)
    metrics.studies.begin(NAMESPACE, "s", study_body())
    assert "hyperband_decisions_total" in await scrape(metrics), "made anew under the same name"


async def test_deleted_studies_are_let_go_where_nobody_scrapes() -> None:
    seconds = 0.0
    metrics = Metrics(lambda: START, lambda: seconds)
    figures = weakref.ref(metrics.studies.begin(NAMESPACE, "s", study_body()))
    metrics.studies.end(NAMESPACE, "s")
    metrics.studies.begin(NAMESPACE, "other", study_body())
    assert figures() is not None, "somebody may still ask"
    seconds = KEEP_SECONDS
    metrics.studies.begin(NAMESPACE, "another", study_body())
    gc.collect()
    assert figures() is None


async def test_a_process_that_leads_no_more_shows_no_studies() -> None:
    world = World()
    manager = Manager()
    manager.start(world.cluster)
    manager.study_seen(world.study)
    assert "hyperband_decisions_total" in await scrape(world.cluster.metrics)
    await manager.stop()
    assert "hyperband_decisions_total" not in await scrape(world.cluster.metrics)
    assert manager.waiting() == (0, 0)


async def test_an_edited_status_spoils_no_scrape() -> None:
    metrics = Metrics()
    good = metrics.studies.begin(NAMESPACE, "good", study_body())
    bad = metrics.studies.begin(NAMESPACE, "bad", study_body())
    for figures, best in ((good, {"value": 1.0}), (bad, {"value": "high"})):
        figures.take_in(study_body() | {"status": {"best": best}})
    assert await value(metrics, "hyperband_study_best_value", study="good") == 1.0
    assert await value(metrics, "hyperband_studies", condition="Ready", status="True") == 0


async def test_a_held_study_says_why() -> None:
    metrics = Metrics()
    figures = metrics.studies.begin(NAMESPACE, "s", study_body())
    row = {"type": "Ready", "status": "False", "reason": "PodRejected"}
    figures.take_in(study_body() | {"status": {"conditions": [row]}})
    assert await value(metrics, "hyperband_study_held", reason="PodRejected", **PLACE) == 1


def a_pod(uid: str = "u", **status: Any) -> Pod:
    body = {
        "metadata": {
            "name": "s-0-0",
            "namespace": NAMESPACE,
            "uid": uid,
            "creationTimestamp": START.isoformat(),
            "ownerReferences": [
                {"kind": "HyperbandTrial", "name": "s-0", "uid": "t", "controller": True}
            ],
        },
        "spec": {key: status.pop(key) for key in ("nodeName", "schedulingGates") if key in status},
        "status": status,
    }
    pod: Pod = as_(body, Pod)
    return pod


UNFIT = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, PodState.UNSCHEDULED),
        ({"phase": "Pending", "conditions": UNFIT}, PodState.UNSCHEDULED),
        ({"phase": "Pending", "schedulingGates": [{"name": "queue"}]}, PodState.GATED),
        ({"phase": "Pending", "nodeName": "n"}, PodState.STARTING),
        ({"phase": "Running", "nodeName": "n"}, PodState.RUNNING),
    ],
)
def test_what_a_pod_is_at(status: Body, expected: PodState) -> None:
    assert state(a_pod(**status)) is expected


def test_pods_are_counted_as_they_come_change_and_go() -> None:
    now = START
    figures = PodFigures(lambda: now)
    waiting, running, over = a_pod(), a_pod(phase="Running"), a_pod(phase="Succeeded")
    figures.see(None, waiting)
    figures.see(None, a_pod("other", phase="Running"))
    now = START.replace(minute=START.minute + 1)
    assert figures.counts(NAMESPACE, "s") == {PodState.UNSCHEDULED: 1, PodState.RUNNING: 1}
    assert figures.longest_wait(NAMESPACE, "s") == 60.0
    figures.see(waiting, running)
    assert figures.counts(NAMESPACE, "s") == {PodState.RUNNING: 2}
    assert figures.longest_wait(NAMESPACE, "s") == 0.0
    figures.see(running, over)
    figures.see(a_pod("other"), None)
    assert figures.counts(NAMESPACE, "s") == {}
    assert figures.counts(NAMESPACE, "unknown") == {}


class Process:
    """What it tells of itself; it watches nothing, as one that leads nowhere."""

    def __init__(self, leading: dict[str | None, bool]) -> None:
        self._leading = leading

    def leading(self) -> dict[str | None, bool]:
        return self._leading

    def informers(self) -> dict[str, list[Any]]:
        return {"pods": []}

    def waiting(self) -> tuple[int, int]:
        return 2, 7


async def test_requests_are_counted_by_what_was_asked_and_answered() -> None:
    world = World()

    class Sent:
        requests = {("get", "pods", 200): 3, ("get", "pods", 0): 1}  # noqa: RUF012

    metrics = world.cluster.metrics
    sent: Any = (Sent(), Sent())
    metrics.read_from(of_process(sent, Process({None: True})))
    answered = {"verb": "get", "resource": "pods", "code": "200"}
    assert await value(metrics, "hyperband_api_requests_total", **answered) == 6
    assert await value(metrics, "hyperband_api_requests_total", code="<error>") == 2
    assert await value(metrics, "hyperband_queued_studies") == 2
    assert await value(metrics, "hyperband_queued_trials") == 7


async def test_where_it_leads_is_told_by_namespace_where_there_is_a_list() -> None:
    everywhere, listed = Metrics(), Metrics()
    everywhere.read_from(of_process([], Process({None: True})))
    listed.read_from(of_process([], Process({"a": True, "b": False})))
    assert await value(everywhere, "hyperband_leader") == 1
    assert await value(listed, "hyperband_leader", namespace="a") == 1
    assert await value(listed, "hyperband_leader", namespace="b") == 0


async def test_how_late_the_event_loop_is() -> None:
    metrics, moments = Metrics(), iter([0.0, 0.35])

    async def sleep(seconds: float) -> None:
        assert seconds == 0.1

    with pytest.raises(RuntimeError):  # the moments are over
        await metrics.watch_lag(sleep, lambda: next(moments))
    sum_ = await value(metrics, "hyperband_event_loop_lag_seconds_sum")
    assert sum_ == pytest.approx(0.25)
    assert await value(metrics, "hyperband_event_loop_lag_seconds_count") == 1


async def test_fits_are_timed_and_their_failures_counted() -> None:
    metrics = Metrics()
    pools = Pools(metrics.fit_ended)

    async def inline(function: Any, _: Any) -> Any:
        return function()

    pools._fitting.call = inline  # type: ignore[method-assign]
    await pools.fit(lambda: Fit(3, (1.0,)))
    await pools.fit(lambda: Fit(3, (1.0,), error="singular"))
    with pytest.raises(ZeroDivisionError):
        await pools.fit(lambda: Fit(1 // 0, ()))
    given_up = pools.fit(lambda: Fit(3, (1.0,)))
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    pools.close()
    assert await value(metrics, "hyperband_surrogate_fit_duration_seconds_count") == 3
    assert await value(metrics, "hyperband_surrogate_fit_failures_total") == 2
