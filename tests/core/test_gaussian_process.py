"""The Gaussian process searcher: deterministic, robust, and better than random search."""

import pickle
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hyperband.core.decisions import Action
from hyperband.core.engine import Engine
from hyperband.core.gp.proposing import Grown
from hyperband.core.records import (
    EarlierTrial,
    Fit,
    Objective,
    Report,
    Resource,
    SearcherOptions,
    Study,
    TrialState,
)
from hyperband.core.rungs import Ladder
from hyperband.core.searchers import gaussian_process
from hyperband.core.searchers.gaussian_process import (
    MOST_APPENDED,
    START,
    GaussianProcess,
    fitted_to,
    thinned_at,
)
from hyperband.core.space import Categorical, Constant, Float, Integer, Ordinal, Scale, Space, Value
from tests.core.trials import trial

MIXED = Space(
    (
        Float("rate", 1e-5, 1e-1, scale=Scale.LOG),
        Categorical("kind", ("a", "b", "c")),
        Integer("layers", 1, 4, when={"kind": ("a", "b")}),
        Float("dropout", 0.0, 0.6, step=0.1, when={"layers": (2, 3)}),
        Ordinal("batch", (32, 64, 128)),
    )
)


def study(space: Space = MIXED, **changes: object) -> Study:
    plain = Study(
        name="test",
        objective=Objective("loss"),
        resource=Resource("epochs", 1, 9),
        space=space,
        max_trials=1000,
        seed=3,
        parallelism=4,
        searcher="GaussianProcess",
        mode="Stopping",
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


Loss = Callable[[dict[str, Value], float], float]


def bowl(parameters: dict[str, Value], resource: float) -> float:
    """Best at x = 0.3 in every Float, the sooner the more resource."""
    numbers = [v for v in parameters.values() if isinstance(v, float)]
    return sum((v - 0.3) ** 2 for v in numbers) + 0.1 / resource


def play(engine: Engine, trials: int, loss: Loss) -> list[dict[str, Value]]:
    """Runs a study, the oldest trial first, until so many trials have been started."""
    while True:
        while decision := engine.launch():
            engine.put(decision.trial)
            if len(engine.trials) >= trials:
                return [dict(t.parameters) for t in engine.trials.values()]
        trial = next(engine.active)
        level = 0 if trial.level is None else trial.level + 1
        resource = engine.ladder[level]
        report = Report(resource, loss(dict(trial.parameters), resource))
        answer = engine.observe(trial.index, [report])
        assert answer is not None
        engine.put(answer.trial)


def test_fits_come_at_fixed_counts() -> None:
    assert [fitted_to(n) for n in range(START, START + 3)] == [START, START + 1, START + 2]
    counts = sorted({fitted_to(n) for n in range(START, 5000)})
    steps = np.diff(counts) / counts[:-1]
    assert (steps[20:] <= 1 / 8).all() and (steps[30:] > 0.1).all()
    assert all(fitted_to(count) == count for count in counts)


def test_the_factor_is_of_bounded_size() -> None:
    for recorded in (START, 999, 9_000, 123_456):
        base = thinned_at(fitted_to(recorded), recorded)
        assert fitted_to(recorded) <= base <= recorded
        assert recorded - base < MOST_APPENDED
    assert thinned_at(900, 999) == 900, "none but the fit thins a small study"


@pytest.mark.parametrize("mode", ["Stopping", "Promotion"])
def test_a_rebuilt_engine_suggests_the_same(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gaussian_process, "MOST_APPENDED", 3)  # between two fits
    lived = Engine(study(mode=mode))
    play(lived, 40, bowl_and_rate)
    # Whatever a fit came to was pickled and stored as text would be.
    records = pickle.loads(pickle.dumps(list(lived.trials.values())))
    rebuilt = Engine(lived.study, records[::-1])
    ours, theirs = lived.searcher.suggest(40), rebuilt.searcher.suggest(40)
    assert ours.origin == theirs.origin == "GaussianProcess"
    for name, value in ours.parameters.items():
        assert theirs.parameters[name] == (
            pytest.approx(value, rel=1e-6) if isinstance(value, float) else value
        )
    assert ours.fit is not None and theirs.fit is not None
    assert ours.fit.values == theirs.fit.values
    assert theirs.fit.hyperparameters == pytest.approx(ours.fit.hyperparameters, abs=1e-6)
    assert theirs.detail == pytest.approx(dict(ours.detail), rel=1e-4, abs=1e-6)


def test_a_fit_of_another_version_is_made_anew() -> None:
    """A record outlives the model that it was written by."""
    lived = Engine(study())
    play(lived, 20, bowl_and_rate)
    expected = lived.searcher.suggest(20)
    assert expected.fit is not None
    for broken in (expected.fit.hyperparameters[1:], (1e9,) * len(expected.fit.hyperparameters)):
        records = [
            replace(
                trial,
                suggestion=replace(
                    trial.suggestion,
                    fit=trial.suggestion.fit and Fit(trial.suggestion.fit.values, broken),
                ),
            )
            for trial in lived.trials.values()
        ]
        rebuilt = Engine(lived.study, records)
        suggestion = rebuilt.searcher.suggest(20)
        assert suggestion.origin == "GaussianProcess"
        assert suggestion.fit is not None
        assert suggestion.fit.values == expected.fit.values
        assert suggestion.fit.hyperparameters != broken


@pytest.mark.parametrize("failed", [0, 60])
def test_a_fit_that_no_suggestion_has_shown_is_made_anew_when_a_trial_has_failed(
    failed: int,
) -> None:
    """A restart makes it anew, and knows of the failure."""
    given = study()
    searcher = GaussianProcess(given, Ladder.of(given))

    def fail(index: int) -> None:
        searcher.record(None, trial(index, TrialState.FAILED, parameters=searcher.draw(index)))

    for index in range(START):
        value = (0, index / START, index)
        record = trial(index, TrialState.PAUSED, value, parameters=searcher.draw(index))
        searcher.record(None, record)
    for index in range(START, START + failed):
        fail(index)
    job = searcher.fitting()
    assert job is not None
    searcher.fitted(job())
    assert searcher.fitting() is None
    fail(START + failed)
    assert searcher.fitting() is not None


def bowl_and_rate(parameters: dict[str, Value], resource: float) -> float:
    rate = parameters["rate"]
    assert isinstance(rate, float)
    bonus = 0.3 if parameters["kind"] == "b" else 0.0
    return (np.log10(rate) + 3.0) ** 2 / 4.0 + 0.2 / resource - bonus


def test_a_fit_can_be_made_elsewhere() -> None:
    engine, inline = Engine(study()), Engine(study())
    play(engine, 30, bowl_and_rate)
    play(inline, 30, bowl_and_rate)
    while (job := engine.fitting()) is None:
        trial = next(engine.active)
        report = Report(9.0, bowl_and_rate(dict(trial.parameters), 9.0))
        for each in (engine, inline):
            answer = each.observe(trial.index, [report])
            assert answer is not None
            each.put(answer.trial)
    engine.fitted(pickle.loads(pickle.dumps(job))())
    assert engine.fitting() is None
    assert engine.launch() == inline.launch()


def test_a_proposal_can_be_made_elsewhere() -> None:
    """By a process that has grown a factor with the study, or by one that has just begun."""
    engine, inline = Engine(study()), Engine(study())
    last: Grown | None = None
    made = grew = 0
    while len(engine.trials) < 45:
        while True:
            if (job := engine.fitting()) is not None:
                engine.fitted(job())
            if (proposing := engine.proposing()) is not None:
                copy = pickle.loads(pickle.dumps(proposing))
                proposal, grown = copy(last)
                grew += last is not None and copy._goes_on_from(last)
                last = pickle.loads(pickle.dumps(grown)) if made % 2 else None
                engine.proposed(proposal)
                assert engine.proposing() is None
                made += 1
            decision = engine.launch()
            assert decision == inline.launch()
            if decision is None:
                break
            for each in (engine, inline):
                each.put(decision.trial)
        observe_first((engine, inline))
    assert isinstance(engine.searcher, GaussianProcess)
    assert engine.searcher._grown is None, "nothing was made here"
    assert made >= 30
    assert grew >= 10


def observe_first(engines: tuple[Engine, ...]) -> None:
    """The oldest trial's next value."""
    trial = next(engines[0].active)
    resource = engines[0].ladder[0 if trial.level is None else trial.level + 1]
    report = Report(resource, bowl_and_rate(dict(trial.parameters), resource))
    for each in engines:
        answer = each.observe(trial.index, [report])
        assert answer is not None
        each.put(answer.trial)


def test_a_proposal_from_before_a_value_is_made_again() -> None:
    engine, inline = Engine(study()), Engine(study())
    for each in (engine, inline):
        play(each, 30, bowl_and_rate)
    while True:  # until there is a free slot, and no fit to be made first
        observe_first((engine, inline))
        if (fitting := engine.fitting()) is not None:
            engine.fitted(fitting())
        if (proposing := engine.proposing()) is not None:
            break
    engine.proposed(proposing(None)[0])
    observe_first((engine, inline))
    assert engine.launch() == inline.launch()


def test_nothing_is_searched_for_given_configurations() -> None:
    points = tuple({"x": k / 20} for k in range(12))
    engine = Engine(study(Space((Float("x", 0, 1),)), initial=points))
    play(engine, 11, bowl)
    report = Report(9.0, 0.5)
    answer = engine.observe(next(engine.active).index, [report])
    assert answer is not None
    engine.put(answer.trial)
    assert engine.starts()
    assert engine.proposing() is None


def fail_to_fit(*_: Any, **__: Any) -> None:
    raise np.linalg.LinAlgError("not finite")


@pytest.mark.parametrize("fitted_before", [False, True])
def test_a_fit_that_fails_leaves_the_parameters_as_they_were(
    monkeypatch: pytest.MonkeyPatch, fitted_before: bool
) -> None:
    engine = Engine(study())
    searcher = engine.searcher
    assert isinstance(searcher, GaussianProcess)
    if fitted_before:
        play(engine, 30, bowl_and_rate)
        start = searcher._kept[max(searcher._kept)]
    else:
        start = searcher._model.start
    monkeypatch.setattr(gaussian_process, "fit", fail_to_fit)
    known = set(searcher._kept)
    with pytest.warns(UserWarning, match="LinAlgError: not finite"):
        play(engine, len(engine.trials) + 20, bowl_and_rate)
    fits = [t.suggestion.fit for t in engine.trials.values() if t.suggestion.fit]
    assert len(set(searcher._kept) - known) >= 2
    assert all(f.hyperparameters == tuple(start) for f in fits if f.values not in known)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        assert Engine(study(), engine.trials.values()).launch() == engine.launch()


def test_no_fit_is_made_for_given_configurations() -> None:
    points = tuple({"x": k / 20} for k in range(12))
    engine = Engine(study(Space((Float("x", 0, 1),)), initial=points))
    play(engine, 12, bowl)
    report = Report(9.0, 0.5)
    answer = engine.observe(next(engine.active).index, [report])
    assert answer is not None
    engine.put(answer.trial)
    assert engine.fitting() is not None
    given = replace(engine.study, initial=(*points, {"x": 0.9}))
    assert Engine(given, list(engine.trials.values())).fitting() is None


def test_a_space_of_one_likely_configuration_is_not_modelled() -> None:
    one = Space((Categorical("a", (1,)), Categorical("b", (1, 2), weights=(0, 1))))
    engine = Engine(study(one))
    play(engine, 20, lambda p, r: 1 / r)
    assert engine.searcher.fitting() is None
    assert {t.suggestion.origin for t in engine.trials.values()} == {"Random"}


def test_a_suggestion_says_why() -> None:
    engine = Engine(study())
    play(engine, 40, bowl_and_rate)
    suggestion = engine.searcher.suggest(40)
    detail = suggestion.detail
    assert suggestion.origin == "GaussianProcess"
    assert detail["level"] == 2
    assert detail["deviation"] > 0 and detail["improvement"] > 0
    best = min(v.value for t in engine.trials.values() for v in t.rungs)
    assert detail["incumbent"] == pytest.approx(best, abs=0.2)
    assert detail["values"] == sum(len(t.rungs) for t in engine.trials.values())
    assert 0 <= detail["modelAge"] <= detail["values"] / 8


@pytest.mark.parametrize("name", ["ExponentialDecay", "Coregionalized"])
def test_it_finds_a_narrow_optimum(name: str) -> None:
    """Independent levels may not: what is stopped below a level tells that level nothing."""
    space = Space(tuple(Float(f"x{i}", 0.0, 1.0) for i in range(3)))
    best = {}
    for searcher in ("GaussianProcess", "Random"):
        options = SearcherOptions(resource_model=name)
        engine = Engine(study(space, searcher=searcher, options=options))
        points = play(engine, 60, bowl)
        best[searcher] = min(bowl(p, 1.0) for p in points)
    assert best["GaussianProcess"] < 0.101
    assert best["GaussianProcess"] - 0.1 < (best["Random"] - 0.1) / 5


def test_no_configuration_is_suggested_twice_while_there_are_others() -> None:
    space = Space((Ordinal("a", (1, 2, 3, 4)), Categorical("b", tuple("vwxyz"))))
    points = play(Engine(study(space)), 20, lambda p, r: float(p["a"] == 2) + 1 / r)
    modelled = points[START:]
    assert len({repr(sorted(p.items())) for p in points}) >= 18
    assert len({repr(sorted(p.items())) for p in modelled}) == len(modelled)
    # More trials than there are configurations: it repeats itself, and goes on.
    play(Engine(study(space)), 30, lambda p, r: float(p["a"] == 2) + 1 / r)


SIXTY = Space(tuple(Float(f"x{i}", 0.0, 1.0) for i in range(60)))
CATEGORICAL = Space(tuple(Categorical(f"c{i}", tuple("abcd")) for i in range(6)))


@pytest.mark.parametrize(
    ("space", "loss"),
    [
        (MIXED, lambda p, r: 1.0),  # constant
        (MIXED, lambda p, r: 1e300 * float(p["batch"] == 32)),  # huge
        (MIXED, lambda p, r: 10.0 ** (40 * float(p["rate"]))),  # heavy tails
        (MIXED, lambda p, r: -1e-300 * r),  # tiny
        (Space((Float("x", 0.0, 1.0),)), bowl),
        (Space((Constant("only", 1),)), lambda p, r: 1 / r),
        (Space((Integer("i", 0, 1), Constant("c", 2))), lambda p, r: float(p["i"]) + 1 / r),
        (SIXTY, bowl),
        (CATEGORICAL, lambda p, r: float(sum(v == "b" for v in p.values())) + 1 / r),
    ],
    ids=["constant", "huge", "heavy", "tiny", "one", "nothing", "binary", "sixty", "categorical"],
)
def test_degenerate_data_never_raises(space: Space, loss: Loss) -> None:
    points = play(Engine(study(space)), 24, loss)
    assert len(points) == 24
    for point in points:
        space.validate_point(point, partial=False)


def test_failures_are_avoided() -> None:
    space = Space((Float("x", 0.0, 1.0), Float("y", 0.0, 1.0)))

    def play_with_failures(engine: Engine) -> list[float]:
        """Everything with x above a half diverges."""
        while len(engine.trials) < 60:
            while decision := engine.launch():
                engine.put(decision.trial)
            trial = next(engine.active)
            level = 0 if trial.level is None else trial.level + 1
            x, resource = trial.parameters["x"], engine.ladder[level]
            assert isinstance(x, float)
            # Better and better towards the cliff.
            value = float("nan") if x > 0.5 else 1.0 - x + 1 / resource
            answer = engine.observe(trial.index, [Report(resource, value)])
            assert answer is not None
            engine.put(answer.trial)
        return [float(t.parameters["x"]) for t in engine.trials.values()]

    later = play_with_failures(Engine(study(space)))[30:]
    assert sum(x > 0.5 for x in later) < 15
    assert min(abs(x - 0.5) for x in later) < 0.05


def test_all_failing_does_not_stall() -> None:
    engine = Engine(study())
    for _ in range(30):
        decision = engine.launch()
        assert decision is not None and decision.action is Action.START
        engine.put(decision.trial)
        failed = engine.observe(decision.trial.index, [Report(1.0, float("nan"))])
        assert failed is not None
        engine.put(failed.trial)


def test_earlier_studies_are_learnt_from_at_once() -> None:
    space = Space((Float("x", 0.0, 1.0), Float("y", 0.0, 1.0)))
    grid = [(x, y) for x in np.linspace(0, 1, 5) for y in np.linspace(0, 1, 5)]
    earlier = tuple(
        EarlierTrial("old", {"x": x, "y": y}, ((9, bowl({"x": x, "y": y}, 9)),)) for x, y in grid
    )
    engine = Engine(study(space, earlier=earlier))
    first = [engine.searcher.suggest(i) for i in range(3)]
    assert [s.origin for s in first] == ["Earlier", "GaussianProcess", "GaussianProcess"]
    assert bowl(dict(first[1].parameters), 9) < bowl(dict(first[0].parameters), 9)
