"""Studies with a surrogate: fits are made elsewhere, and hold up nothing but new trials."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from hyperband.api.schema.searcher import SEARCHER
from hyperband.api.study import parse_study
from hyperband.backends.kubernetes.api_errors import Conflict
from hyperband.backends.kubernetes.manager import Manager
from hyperband.backends.kubernetes.objects import PODS, TRIALS
from hyperband.core.records import Fit, Study, Suggestion, Trial
from hyperband.core.rungs import Ladder
from hyperband.core.searchers import SEARCHERS, gaussian_process
from hyperband.core.searchers.base import Searcher
from tests.kubernetes.fake_cluster import NAMESPACE, Body, Killed, World, as_, study_body


def mean(values: tuple[float, ...]) -> Fit:
    return Fit(len(values), (sum(values) / len(values), 1 / 3))


class Surrogate(Searcher):
    """Fits the mean of the first values, whose number is even, and suggests from that."""

    def __init__(self, study: Study, ladder: Ladder) -> None:
        super().__init__(study, ladder)
        self.values: dict[int, float] = {}
        self.fits: dict[int, Fit] = {}
        self.asked = 0  # the number of values of the fit that was asked for last

    def record(self, old: Trial | None, new: Trial) -> None:
        self.values |= {value.sequence: value.value for value in new.rungs}
        if new.suggestion.fit is not None:
            self.fits[new.suggestion.fit.values] = new.suggestion.fit

    def fitting(self) -> Callable[[], Fit] | None:
        count = len(self.values) // 2 * 2
        if count == 0 or count in self.fits:
            return None
        self.asked = count
        return partial(mean, tuple(self.values[k] for k in sorted(self.values)[:count]))

    def fitted(self, fit: Fit) -> None:
        assert self.asked in (fit.values, 0), "the last one, or this is a new engine"
        self.fits[fit.values] = fit

    def propose(self, index: int) -> Suggestion:
        if len(self.values) < 2:
            return Suggestion(self.draw(index), "Surrogate")
        fitting = self.fitting()
        assert fitting is None, "made elsewhere"
        fit = self.fits[len(self.values) // 2 * 2]
        x = (fit.hyperparameters[0] + index / 7) % 1
        return Suggestion({"x": x}, "Surrogate", {"mean": fit.hyperparameters[0]}, fit)


@pytest.fixture(autouse=True)
def searcher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SEARCHERS, "Surrogate", Surrogate)
    monkeypatch.setitem(SEARCHER["properties"]["type"], "enum", list(SEARCHERS))


def surrogate_world(**spec: Any) -> World:
    return World(study_body(searcher={"type": "Surrogate"}, **{"maxTrials": 8, **spec}))


def suggestions(world: World) -> list[Body]:
    return [trial["spec"]["suggestion"] for trial in world.trials]


async def held(**spec: Any) -> World:
    """Two trials are decided, and the third waits for a fit that has begun."""
    world = surrogate_world(**spec)
    world.workers.held = True
    await world.step()
    for name in ("s-0-0", "s-1-0"):
        world.set(world.pod(name), phase="Succeeded", reports=[{"epochs": 1, "loss": 0.5}])
    await world.step()
    assert world.workers.begun == 1
    return world


async def test_a_study_with_a_surrogate() -> None:
    world = surrogate_world()
    await world.run()
    assert world.condition("Succeeded") == "True"
    first, *others = suggestions(world)
    assert "fit" not in first
    fits = [each["fit"] for each in others if "fit" in each]
    assert len(fits) >= 4
    assert all(fit["values"] % 2 == 0 and len(fit["hyperparameters"]) == 2 for fit in fits)
    assert world.workers.begun == len({fit["values"] for fit in fits}), "each fit is made once"


async def test_a_new_operator_has_the_fits_that_suggestions_were_made_from() -> None:
    world = surrogate_world()
    for _ in range(4):
        await world.step()
        world.live()
    await world.step()
    assert world.task._keeper is not None
    before = world.task._keeper.engine.searcher
    world.start()
    await world.step()
    after = world.task._keeper.engine.searcher
    assert isinstance(before, Surrogate)
    assert isinstance(after, Surrogate)
    assert after.fits
    assert after.fits.items() <= before.fits.items(), "bit by bit, the server between them"


async def test_while_a_fit_runs_values_are_recorded_and_trials_promoted() -> None:
    world = await held(parallelism=3)
    # The third trial had been started before there were two values to fit to.
    promoted = [t for t in world.trials if t.get("status", {}).get("attempt") == 1]
    assert [t["metadata"]["name"] for t in promoted] == ["s-0"]
    world.set(world.pod("s-2-0"), phase="Succeeded", reports=[{"epochs": 1, "loss": 0.1}])
    await world.step()
    status = world.trials[2]["status"]
    assert (status["rungs"][0]["value"], status["attempt"]) == (0.1, 1), "settled, and promoted"
    assert len(world.trials) == 3
    assert world.workers.begun == 1
    world.task._wake.clear()
    world.workers.held = False
    world.workers.release()
    await asyncio.sleep(0)  # the event loop tells of the future's end
    assert world.task._wake.is_set()
    await world.step()
    assert len(world.trials) == 4
    assert suggestions(world)[3]["fit"]["values"] == 2
    await world.run()
    assert world.condition("Succeeded") == "True"


async def test_a_change_of_the_spec_during_a_fit_keeps_the_fit() -> None:
    world = await held()
    world.change(parallelism=4)
    await world.step()
    assert len(world.trials) == 2
    world.workers.release()
    await world.step()
    assert world.workers.begun == 1
    assert [s.get("fit", {}).get("values") for s in suggestions(world)[2:]] == [2, 2, 2]


async def test_a_study_may_be_suspended_during_a_fit() -> None:
    world = await held()
    world.change(suspend=True)
    await world.step()
    assert world.condition("Suspended") == "True"
    assert all("deletionTimestamp" in p["metadata"] for p in living(world))
    world.workers.release()
    await world.step()
    assert len(world.trials) == 2
    world.workers.held = False
    world.change(suspend=False)
    await world.run()
    assert world.condition("Succeeded") == "True"


async def test_a_study_that_fails_during_a_fit_waits_for_it_no_more() -> None:
    world = await held(failurePolicy={"retries": 0, "maxFailedTrials": 0})
    world.set(world.pod("s-0-1"), phase="Failed")
    await world.step()
    await world.step()
    assert world.condition("Failed", "reason") == "TooManyFailedTrials"
    _, future = world.workers.waiting[0]
    assert future.cancelled()


def living(world: World) -> list[Body]:
    return [p for p in world.client.bodies(PODS) if p.get("status", {}).get("phase") != "Succeeded"]


async def test_a_study_that_is_deleted_during_a_fit_ends_its_pods_at_once() -> None:
    world = surrogate_world()
    world.workers.held = True
    manager = Manager()
    manager.start(world.cluster)
    manager.study_seen(as_(world.study, dict))
    task = manager._tasks[NAMESPACE, "s"]
    world.task = task
    await eventually(lambda: (PODS.plural, "s-1-0") in world.client.objects)
    for name in ("s-0-0", "s-1-0"):
        world.set(world.pod(name), phase="Succeeded", reports=[{"epochs": 1, "loss": 0.5}])
    await eventually(lambda: world.workers.begun == 1)
    manager.study_gone(NAMESPACE, "s", task.uid)
    await eventually(lambda: bool(living(world)) and not manager._endings)
    assert all("deletionTimestamp" in p["metadata"] for p in living(world))
    _, future = world.workers.waiting[0]
    assert future.cancelled()


async def test_a_new_operator_begins_the_fit_again() -> None:
    world = await held()
    world.start()
    await world.step()
    assert world.workers.begun == 2
    assert len(world.trials) == 2
    world.workers.held = False
    world.workers.release()
    await world.run()
    assert world.condition("Succeeded") == "True"


async def test_a_fit_that_fails_is_said_and_tried_again() -> None:
    world = await held()
    _, future = world.workers.waiting.pop()
    future.set_exception(ValueError("singular"))
    await world.step()
    assert world.condition("Ready", "reason") == "InternalError"
    assert "ValueError: singular" in world.condition("Ready", "message")
    world.workers.held = False
    await world.run()
    assert world.condition("Succeeded") == "True"


async def test_a_model_that_can_never_be_fitted_holds_up_no_study(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fit(*_: Any, **__: Any) -> None:
        raise FloatingPointError("overflow")

    monkeypatch.setattr(gaussian_process, "fit", fit)
    world = World(study_body(searcher={"type": "GaussianProcess"}, maxTrials=16))
    with caplog.at_level(logging.WARNING):
        await world.run()
    assert world.condition("Succeeded") == "True"
    modelled = [s for s in suggestions(world) if s["origin"] == "GaussianProcess"]
    assert world.workers.proposed >= len(modelled), "elsewhere"
    made = [s["fit"]["values"] for s in modelled]
    assert len(made) >= 5
    said = [r.getMessage() for r in caplog.records if "could not be fitted" in r.getMessage()]
    assert len(said) == world.workers.begun, "once for each fit"
    assert all("FloatingPointError: overflow" in text for text in said)
    assert not [r for r in caplog.records if "unexpected" in r.getMessage()]


async def test_only_suggestions_of_a_surrogate_are_made_in_a_thread() -> None:
    world = World(study_body())
    await world.step()
    assert (len(world.trials), world.workers.runs) == (2, 0)
    world = surrogate_world()
    await world.step()
    assert (len(world.trials), world.workers.runs) == (2, 4), "twice a suggestion"


async def test_news_during_a_suggestion_come_before_the_next_one() -> None:
    """A trial that is to be stopped holds a slot: it does not wait until all slots are filled."""
    world = surrogate_world(parallelism=4)
    await world.step()
    assert len(world.trials) == 4
    world.change(parallelism=7)

    def meanwhile() -> None:
        world.workers.meanwhile = lambda: None
        world.set(world.pod("s-0-0"), reports=[{"epochs": 1, "loss": 0.5}])

    world.workers.meanwhile = meanwhile
    world.client.calls.clear()
    await world.step()
    writes = [(verb, name) for verb, plural, name in world.client.calls if plural == TRIALS.plural]
    assert writes[:3] == [("create", "s-4"), ("status", "s-0"), ("create", "s-5")]
    assert world.trials[0]["status"]["rungs"]
    assert len(world.trials) >= 7


@pytest.mark.parametrize("error", [Conflict(409, "Conflict"), Killed()], ids=["conflict", "kill"])
async def test_a_fault_at_every_call(error: Exception | Killed) -> None:
    calls = 1000
    for position in range(1000):
        world, left = surrogate_world(), position

        def fault(moment: str, *_: str) -> None:
            nonlocal left
            left -= moment == "before"
            if left == -1:
                left = -2
                raise error

        world.client.fault = fault
        await world.run()
        assert world.condition("Succeeded") == "True"
        assert [t["spec"]["index"] for t in world.trials] == list(range(8))
        engine = parse_study(world.study)
        assert engine.study.searcher == "Surrogate"
        assert all("fit" in each for each in suggestions(world)[4:])
        if left >= 0:
            calls = position
            break
    assert 40 <= calls < 1000


async def eventually(probe: Callable[[], bool]) -> None:
    for _ in range(1000):
        if probe():
            return
        await asyncio.sleep(0)  # the others' turn
    raise AssertionError("never")
