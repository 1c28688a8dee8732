"""What `hyperband plot` draws: records to figures, by small examples worked out by hand."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hyperband.plots.draw import canvas
from hyperband.plots.figure import Figure, Mark, finite, plain, thin
from hyperband.plots.flow import rungs, timeline
from hyperband.plots.importance import importance
from hyperband.plots.moments import gpu_hours, moments
from hyperband.plots.pairs import pairs
from hyperband.plots.parameters import parallel, slices
from hyperband.plots.records import (
    Attempt,
    Dimension,
    Records,
    Run,
    RungValue,
    of_objects,
    of_rows,
)
from hyperband.plots.terminal import lines
from hyperband.plots.values import Over, best, curves, predicted

X = Dimension("x", 0.0, 1.0)
LR = Dimension("lr", 0.001, 1.0, log=True)
KIND = Dimension("kind", values=("a", "b", "c"))


def attempt(start: float, end: float | None, resource: float | None, **more: Any) -> Attempt:
    given = Attempt("p", "n", start, start, end, "Succeeded", resource, 3600.0)
    return replace(given, **more)


def run(index: int, state: str, *values: tuple[float, float], **more: Any) -> Run:
    """A trial with values, (resource, value), whose sequence numbers go by index, then rung."""
    made = [RungValue(i, r, v, 10 * index + i) for i, (r, v) in enumerate(values)]
    given = Run(index, f"s-{index}", 0, state, {"x": index / 10}, tuple(made))
    return replace(given, **more)


def records(*runs: Run, dimensions: tuple[Dimension, ...] = (X,), **more: Any) -> Records:
    given = Records("s", "loss", "Minimize", "epochs", dimensions, runs)
    return replace(given, **more)


SMALL = records(
    run(0, "Completed", (1, 0.5), (3, 0.25), attempts=(attempt(100, 110, 1), attempt(120, 140, 3))),
    run(1, "Stopped", (1, 0.9), attempts=(attempt(100, 120, 1),)),
    run(2, "Paused", (1, 0.4), attempts=(attempt(110, 130, 1, node="m"),)),
    run(3, "Failed", attempts=(attempt(130, 131, None, outcome="Failed"),)),
)


def series(figure: Figure, name: str, panel: int = 0) -> list[tuple[Any, Any]]:
    """The points of each item of a series."""
    found = {each.name: each for each in figure.panels[panel].series}[name]
    return [(item.xs, item.ys) for item in found.items]


def test_a_curve_goes_by_its_rungs_and_stopped_ones_are_faint() -> None:
    figure = curves(SMALL)
    assert series(figure, "best") == [((1, 3), (0.5, 0.25))]
    assert series(figure, "stopped") == [((1,), (0.9,))]
    assert {s.name: s.faint for s in figure.panels[0].series} == {
        "paused": True,
        "stopped": True,
        "best": False,
    }
    assert figure.panels[0].x.ticks == ((1, "1"), (3, "3"))
    assert figure.panels[0].y.label == "loss (Minimize: lower is better)"


def test_reports_between_rungs_belong_to_the_curve() -> None:
    figure = curves(records(run(0, "Running", (1, 0.5), curve=((1, 0.5), (2, 0.4)))))
    assert series(figure, "best") == [((1, 2), (0.5, 0.4))]


def test_values_come_within_their_attempt_as_far_as_it_trained() -> None:
    # In one attempt from 0 to 4 epochs in 40 s, from 100 on: 1 epoch after 10 s.
    whole = records(run(0, "Completed", (1, 0.5), (4, 0.2), attempts=(attempt(100, 140, 4),)))
    assert [each.seconds for each in moments(whole)] == [10, 40]
    # Promoted ones go on from the checkpoint, or begin anew.
    pods = (attempt(100, 110, 1), attempt(120, 140, 3))
    promoted = records(run(0, "Running", (1, 0.5), (2, 0.4), attempts=pods))
    assert [each.seconds for each in moments(promoted)] == [10, 30]
    anew = moments(replace(promoted, anew=True))
    assert [each.seconds for each in anew] == [10, pytest.approx(20 + 20 * 2 / 3)]


def test_the_best_so_far_is_a_staircase_over_time() -> None:
    figure = best(SMALL)
    # 0.5 after 10 s, 0.9 after 20, 0.4 after 30, 0.25 after 40.
    assert series(figure, "best so far") == [
        ((10, 30, 30, 40, 40, 40), (0.5, 0.5, 0.4, 0.4, 0.25, 0.25))
    ]
    assert len(series(figure, "values at rungs")) == 4
    assert figure.panels[0].x.label == "seconds since the first pod started"
    assert [row[1:3] for row in figure.rows] == [(0.5, "s-0"), (0.4, "s-2"), (0.25, "s-0")]


def test_a_large_value_is_the_best_where_it_is_wanted() -> None:
    figure = best(replace(SMALL, goal="Maximize"))
    assert [row[1] for row in figure.rows] == [0.5, 0.9]
    assert "higher is better" in figure.panels[0].y.label


def test_gpu_hours_add_up_over_pods() -> None:
    # By 10 s: one pod in full, half of the second; each is 1 GPU-hour.
    pods = records(
        run(0, "Completed", (1, 0.5), attempts=(attempt(0, 10, 1),)),
        run(1, "Stopped", (1, 0.9), attempts=(attempt(0, 20, 1),)),
    )
    assert gpu_hours(pods, [0, 5, 10, 20]) == pytest.approx([0, 0.75, 1.5, 2])
    figure = best(pods, Over.GPU_HOURS)
    assert figure.panels[0].x.label == "GPU-hours spent by all trials"
    assert figure.rows[0][0] == pytest.approx(1.5)


def test_values_without_a_moment_are_left_out_and_counted() -> None:
    figure = best(records(run(0, "Running", (1, 0.5), attempts=(attempt(0, None, None),))))
    assert figure.empty
    assert any("1 of 1 values are left out" in note for note in figure.notes)
    assert not best(SMALL, Over.VALUES).empty


def test_parallel_axes_are_linear_logarithmic_or_of_categories() -> None:
    given = records(
        run(0, "Completed", (1, 0.1), parameters={"x": 0.25, "lr": 0.001, "kind": "a"}),
        run(1, "Paused", (1, 0.3), parameters={"x": 1.0, "lr": math.sqrt(0.001), "kind": "c"}),
        run(2, "Paused", (1, 0.2), parameters={"x": 0.0, "lr": 1.0}),
        dimensions=(X, LR, KIND),
    )
    figure = parallel(given)
    assert series(figure, "best tenth") == [((0, 1, 2, 3), (0.25, 0, pytest.approx(1 / 6), 0))]
    rest = series(figure, "other trials")
    assert rest[0][1] == (1, pytest.approx(0.5), pytest.approx(5 / 6), 1)  # the worst one first
    assert rest[1][1][2] < 0  # inactive
    assert "below the axes: inactive parameters" in figure.notes
    shades = [item.shade for each in figure.panels[0].series for item in each.items]
    assert shades == [0, 0.5, 1]
    assert [text for _, text in figure.panels[0].x.ticks] == ["x", "lr (log)", "kind", "loss"]
    assert (1.0, 0.0, "0.001") in figure.panels[0].texts


def test_a_panel_for_each_parameter_without_trials_that_lack_it() -> None:
    given = records(
        run(0, "Completed", (1, 0.1), (3, 0.05), parameters={"x": 0.5, "kind": "b"}),
        run(1, "Completed", (1, 0.3), (3, 0.2), parameters={"x": 0.7, "kind": "c"}),
        run(2, "Paused", (1, 0.3), parameters={"x": 1.0}),
        dimensions=(X, KIND),
    )
    figure = slices(given)
    assert series(figure, "best", 0) == [((0.5,), (0.05,))]
    assert series(figure, "at the highest rung", 0) == [((0.7,), (0.2,))]
    assert series(figure, "at a lower rung", 0) == [((1.0,), (0.3,))]
    assert series(figure, "best", 1) == [((1.0,), (0.05,))]
    assert series(figure, "at a lower rung", 1) == []
    assert figure.panels[1].x.ticks == ((0, "a"), (1, "b"), (2, "c"))


def test_a_panel_for_each_pair_coloured_by_rank() -> None:
    given = records(
        run(0, "Paused", (1, 0.3), parameters={"x": 0.5, "lr": 0.1, "kind": "c"}),
        run(1, "Paused", (1, 0.1), parameters={"x": 0.7, "lr": 0.2, "kind": "a"}),
        run(2, "Paused", (1, 0.2), parameters={"x": 1.0, "lr": 0.3}),
        run(3, "Pending", parameters={"x": 0.1, "lr": 0.4, "kind": "a"}),
        dimensions=(X, LR, KIND),
    )
    figure = pairs(given)
    axes = [(panel.x.label, panel.y.label) for panel in figure.panels]
    assert axes == [("x", "lr (log)"), ("x", "kind"), ("lr (log)", "kind")]
    drawn = [(item.xs, item.ys, item.shade) for s in figure.panels[0].series for item in s.items]
    assert drawn == [((0.5,), (0.1,), 0.0), ((1.0,), (0.3,), 0.5), ((0.7,), (0.2,), 1.0)]
    assert series(figure, "best", 0) == [((0.7,), (0.2,))]
    # Where a parameter is inactive, there is no pair.
    assert sum(len(each.items) for each in figure.panels[1].series) == 2
    ((_, (place,)),) = series(figure, "lower half", 1)
    assert 1.75 <= place <= 2.25  # spread within the third category
    assert figure.panels[1].y.ticks == ((0, "a"), (1, "b"), (2, "c"))


def test_of_many_parameters_the_most_important_are_paired() -> None:
    dimensions = tuple(Dimension(name, 0.0, 1.0) for name in "abcdefg")
    random = np.random.default_rng(0)

    def parameters() -> dict[str, float]:
        return {each.name: float(random.uniform()) for each in dimensions}

    points = [parameters() for _ in range(80)]
    runs = [
        run(i, "Paused", (1, p["f"] + 0.7 * p["g"]), parameters=p) for i, p in enumerate(points)
    ]
    figure = pairs(records(*runs, dimensions=dimensions))
    assert (figure.panels[0].x.label, figure.panels[0].y.label) == ("f", "g")
    assert len(figure.panels) == 6
    assert "the 4 of 7 parameters on which the value depends most (plot importance)" in figure.notes
    few = pairs(records(*runs[:5], dimensions=dimensions))
    assert few.panels[0].x.label == "a"
    assert "the first 4 of 7 parameters: too few values to tell what matters" in few.notes


def test_categories_are_written_beside_their_lines_in_the_terminal() -> None:
    given = records(
        run(0, "Paused", (1, 0.3), parameters={"x": 0.5, "kind": "c"}),
        run(1, "Paused", (1, 0.1), parameters={"x": 0.7, "kind": "a"}),
        dimensions=(X, KIND),
    )
    text = lines(pairs(given), 60)
    beside = [line.split(" │")[0] for line in text if " │" in line]
    assert [each for each in beside if each.strip()] == ["c", "b", "a"]


def test_rungs_count_what_became_of_trials() -> None:
    figure = rungs(SMALL)
    assert figure.columns == ("rung", "went on", "completed", "paused", "stopped", "failed")
    assert figure.rows == (
        ("no value", 0, 0, 0, 0, 1),
        ("epochs 1", 1, 0, 1, 1, 0),
        ("epochs 3", 0, 1, 0, 0, 0),
    )
    # Beside one another: one went on, then the paused one, then the stopped one.
    assert series(figure, "stopped") == [((2, 3), (1, 1))]


def written(figure: Figure, which: str) -> list[str]:
    """The numbers at an axis of its first panel, as matplotlib draws them."""
    made = canvas(figure)
    made.draw_without_rendering()
    axis = getattr(made.axes[0], f"{which}axis")
    ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
    low, high = sorted(axis.get_view_interval())
    labels = {tick.get_loc(): tick.label1.get_text() for tick in ticks}
    return [labels[at] for at in sorted(labels) if low <= at <= high and labels[at]]


def test_counts_have_no_halves() -> None:
    two = records(run(0, "Completed", (1, 0.5)), run(1, "Paused", (1, 0.4)))
    assert written(rungs(two), "x") == ["0", "1", "2"]
    assert written(best(two, Over.VALUES), "x") == ["1", "2"]
    one = records(run(0, "Paused", (1, 0.5)))
    text = lines(best(one, Over.VALUES), 60)
    assert next(line for line in text if "0    " in line).split() == ["0", "1", "2"]
    four = best(records(*(run(i, "Paused", (1, 0.5)) for i in range(4))), Over.VALUES)
    assert any(line.split() == ["1", "2", "4"] for line in lines(four, 60))


def test_measures_have_them() -> None:
    two = records(run(0, "Paused", (1, 0.0)), run(1, "Paused", (1, 0.75)))
    assert "0.5" in written(best(two, Over.VALUES), "y")


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ((20.0, 40.0), ["20", "30", "40"]),
        ((15.0, 80.0), ["20", "50"]),
        ((1.0, 1000.0), ["1", "10", "100", "1000"]),
    ],
)
def test_a_short_logarithmic_axis_has_numbers_too(values: Any, shown: list[str]) -> None:
    units = Dimension("units", 1.0, 1000.0, log=True)
    runs = [run(i, "Paused", (1, 0.5), parameters={"units": v}) for i, v in enumerate(values)]
    assert written(slices(records(*runs, dimensions=(units,))), "x") == shown


def test_rungs_of_several_brackets_are_apart() -> None:
    figure = rungs(records(run(0, "Paused", (1, 1)), run(1, "Paused", (3, 1), bracket=1)))
    assert [row[0] for row in figure.rows] == ["bracket 1, epochs 1", "bracket 0, epochs 1"]


def test_pods_are_on_the_first_free_slot_of_their_node() -> None:
    figure = timeline(SMALL)
    names = [text for _, text in figure.panels[0].y.ticks]
    assert names == ["n 1", "n 0", "m"]  # from below
    at = {(row[1], row[2], row[3]) for row in figure.rows}
    assert at == {("m", 10, 30), ("n 0", 0, 10), ("n 0", 20, 40), ("n 1", 0, 20), ("n 1", 30, 31)}
    assert series(figure, "failed") == [((30, 31), (0, 0))]


def test_disruptions_are_counted_with_their_gpu_hours() -> None:
    pods = (attempt(0, 10, 1), attempt(10, 20, 1, outcome="Disrupted"))
    figure = timeline(records(run(0, "Running", attempts=pods, gpu_seconds=3 * 3600.0)))
    assert figure.notes[0].startswith(
        "1 of 2 pods were disrupted: 1 GPU-hours in them (50% of all)"
    )
    assert "1 GPU-hours are of pods that are no longer listed" in figure.notes


def test_predictions_are_set_against_the_value_at_their_level() -> None:
    detail = {"mean": 0.4, "deviation": 0.1, "level": 1.0}
    far = {"mean": 0.1, "deviation": 0.1, "level": 0.0}
    figure = predicted(
        records(
            run(0, "Completed", (1, 0.9), (3, 0.45), detail=detail),
            run(1, "Paused", (1, 0.5), detail=detail),  # has not come there
            run(2, "Paused", (1, 0.5), detail=far),
            run(3, "Paused", (1, 0.5)),
        )
    )
    assert series(figure, "suggestions") == [((0.4,), (0.45,)), ((0.1,), (0.5,))]
    assert figure.notes[0] == "1 of 2 within one deviation (50%; 68% if the model is right)"


def test_what_matters_is_more_than_chance_and_what_does_not_is_not() -> None:
    # The value is that of x; the other parameter goes through all its values for each of x.
    runs = [
        run(i, "Paused", (1, float(i // 3)), parameters={"x": i // 3 / 13, "kind": "abc"[i % 3]})
        for i in range(39)
    ]
    figure = importance(records(*runs, dimensions=(KIND, X)))
    (x, r2, error, chance), (kind, none, _, by_chance) = figure.rows
    assert (x, kind) == ("x", "kind")
    assert r2 == pytest.approx(1)
    assert 0 <= error < 0.05
    assert 0 < chance < 0.3
    assert none == pytest.approx(0, abs=1e-9)
    assert by_chance > none


def test_importance_sees_only_ranks_and_that_a_parameter_is_active() -> None:
    runs = [
        run(
            i,
            "Paused",
            (1, 10.0**i if i % 2 else -(10.0**i)),
            parameters={"x": 0.5} if i % 2 else {},
        )
        for i in range(20)
    ]
    ((_, r2, _, chance),) = importance(records(*runs)).rows
    assert r2 > chance


def test_too_few_trials_have_no_importance() -> None:
    figure = importance(SMALL)
    assert figure.empty
    assert "3 trials with a value at one rung are too few: it takes 10" in figure.notes


def test_a_parameter_that_was_never_varied_has_none() -> None:
    runs = [run(i, "Paused", (1, float(i)), parameters={"x": 0.5}) for i in range(12)]
    assert importance(records(*runs)).rows == (("x", 0.0, 0.0, 0.0),)


ALL = (curves, best, parallel, importance, slices, pairs, rungs, timeline, predicted)


@pytest.mark.parametrize("draw", ALL)
@pytest.mark.parametrize("given", [records(), records(run(0, "Pending")), records(dimensions=())])
def test_nothing_to_draw_is_an_empty_figure(draw: Any, given: Records) -> None:
    figure = draw(given)
    assert figure.empty or draw is rungs  # a pending trial is one without a value


@pytest.mark.parametrize("draw", ALL)
def test_ten_thousand_trials_are_thinned_with_a_word(draw: Any) -> None:
    pods = (attempt(0, 10, 1),)
    detail = {"mean": 0.5, "deviation": 0.1, "level": 0.0}
    many = [
        run(i, "Paused", (1, i % 97), (3, i % 89), attempts=pods, detail=detail)
        for i in range(10_000)
    ]
    figure = draw(records(*many))
    drawn = sum(len(each.items) for panel in figure.panels for each in panel.series)
    assert drawn <= 2500
    if draw is not rungs:
        assert any("are drawn" in note for note in figure.notes)


def test_what_is_no_number_is_left_out_and_counted() -> None:
    study = {
        "metadata": {"name": "s\x1b[2J"},
        "spec": {
            "objective": {"metric": "loss\nof"},
            "resource": {"name": "epochs", "min": 1, "max": 3},
            "parameters": [
                {"name": "x", "type": "Float", "min": 0, "max": 1},
                {"name": "c", "type": "Constant", "value": 1},
            ],
        },
    }
    rung = {"level": 0, "resource": 1, "value": math.nan, "sequence": 0}
    good = {"level": 1, "resource": 3, "value": 0.5, "sequence": 1}
    trial = {
        "metadata": {"name": "s-0"},
        "spec": {"index": 0, "bracket": 0, "parameters": {"x": 0.5}, "suggestion": {}},
        "status": {"state": "Running", "rungs": [rung, good], "curve": [{"resource": 2}]},
    }
    read = of_objects(study, [trial])
    assert read.study == r"s\x1b[2J"
    assert read.metric == "loss of"
    assert [each.name for each in read.dimensions] == ["x"]
    assert curves(read).notes == ("2 values that are no numbers, or too large, are left out",)


def test_exported_rows_hold_parameters_and_values() -> None:
    rows = [
        {"sequence": 1, "index": 0, "trial": "s-0", "bracket": 0, "level": 1, "resource": 3.0}
        | {"value": 0.2, "parameters": {"lr": 0.001, "kind": "a"}},
        {"sequence": 0, "index": 0, "trial": "s-0", "bracket": 0, "level": 0, "resource": 1.0}
        | {"value": 0.4, "parameters": {"lr": 0.001, "kind": "a"}},
        {"sequence": 2, "index": 1, "trial": "s-1", "bracket": 0, "level": 0, "resource": 1.0}
        | {"value": None, "parameters": {"lr": 2.0, "kind": "b"}},
    ]
    read = of_rows(rows, "s", "Maximize")
    assert [v.value for v in read.runs[0].values] == [0.4, 0.2]
    assert read.dimensions == (
        Dimension("lr", 0.001, 2.0, log=True),
        Dimension("kind", values=("a", "b")),
    )
    assert read.notes  # scales are guessed


def test_values_that_diverge_do_not_hide_the_others() -> None:
    for draw in (curves, best, slices):
        far = draw(
            records(
                run(0, "Paused", (1, 0.5), attempts=(attempt(0, 1, 1),)),
                run(1, "Paused", (1, 1e6), attempts=(attempt(0, 1, 1),)),
            )
        )
        axis = far.panels[0].y
        assert (axis.log, axis.label) == (True, "loss (Minimize: lower is better), log")
        assert not draw(SMALL).panels[0].y.log
    assert not finite(1e300) and not finite(math.nan) and not finite(True)
    assert finite(1)


def test_thinning_keeps_both_ends() -> None:
    assert thin(range(10), 4) == [0, 3, 6, 9]
    assert thin([1, 2], 4) == [1, 2]
    assert plain("a\tb\u202ec" + "d" * 100).startswith(r"a b\u202ecddd")
    assert len(plain("d" * 100)) == 60


def test_spans_have_two_ends() -> None:
    for figure in (rungs(SMALL), timeline(SMALL)):
        spans = [s for panel in figure.panels for s in panel.series if s.mark is Mark.SPANS]
        assert all(len(item.xs) == 2 for each in spans for item in each.items)
