"""The views of the page: plain data, true to the records, and small."""

import copy
from typing import Any

import pytest

from hyperband.dashboard import decisions, studies, trial, trials
from hyperband.dashboard.answers import answer
from hyperband.dashboard.figures import KINDS, figure
from hyperband.dashboard.parallel import MAX_ROWS, parallel
from hyperband.dashboard.snapshot import EVERYTHING, Live, Snapshot
from hyperband.dashboard.trials import Wanted
from tests.dashboard.played import live, objects, snapshot

KIB = 1024
MOST = 300 * KIB


def _with(change: dict[str, Any], index: int = 0) -> tuple[Live, dict[str, Any]]:
    """A study that is known, and one of its trials as it is after a change of its status."""
    made = live()
    made.snapshot()
    body = copy.deepcopy(objects()[1][index])
    body["status"] |= change
    return made, body


# -- what is known -------------------------------------------------------------------------------


def test_a_version_has_all_trials_by_index_and_nothing_left_to_tell() -> None:
    made = live()
    first, changed = made.snapshot()
    assert list(first.trials) == list(range(36))
    assert first.version == 1 and "trials" in changed
    assert made.snapshot()[1] == frozenset()


@pytest.mark.parametrize(
    ("change", "told", "not_told"),
    [
        ({"latest": {"resource": 2.0, "value": 0.5}}, {"curves"}, {"best", "decisions"}),
        ({"curve": [{"resource": 0.5, "value": 1.0}]}, {"curves"}, {"best", "decisions"}),
        ({"rungs": []}, {"curves", "best", "parallel", "decisions"}, {"timeline"}),
        ({"attempts": []}, {"timeline", "best"}, {"parallel", "curves"}),
        ({"state": "Failed"}, {"trials", "parallel", "decisions"}, {"curves"}),
    ],
)
def test_news_tell_which_views_they_change(
    change: dict[str, Any], told: set[str], not_told: set[str]
) -> None:
    made, body = _with(change)
    made.see_trial(body)
    changed = made.snapshot()[1]
    assert told <= changed and not changed & not_told
    assert changed <= EVERYTHING


def test_what_is_seen_a_second_time_is_no_news() -> None:
    made, body = _with({})
    made.see_trial(body)
    assert not made.changed


def test_an_object_of_another_shape_is_left_out() -> None:
    made, body = _with({})
    for broken in ({**body, "spec": {"index": "x"}}, {**body, "spec": None}, {}):
        made.see_trial(broken)
    assert not made.changed and len(made) == 36


def test_a_version_does_not_change_with_what_comes_later() -> None:
    made, body = _with({"state": "Failed"})
    before, _ = made.snapshot()
    made.see_trial(body)
    made.forget(7)
    after, changed = made.snapshot()
    assert before.trials[0]["status"]["state"] != "Failed" and 7 in before.trials
    assert after.trials[0]["status"]["state"] == "Failed" and 7 not in after.trials
    assert changed == EVERYTHING


# -- studies -------------------------------------------------------------------------------------


def test_the_ladder_counts_what_the_records_say() -> None:
    shown = snapshot(36, 1500.0)
    (bracket,) = studies.ladder(shown)
    at = [
        sum(rung["level"] == level for t in shown.trials.values() for rung in t["status"]["rungs"])
        for level in range(4)
    ]
    assert [rung["recorded"] for rung in bracket["rungs"]] == at
    active = [t for t in shown.trials.values() if t["status"]["state"] in ("Pending", "Running")]
    assert sum(rung["running"] for rung in bracket["rungs"]) == len(active) == 8
    for below, above in zip(bracket["rungs"], bracket["rungs"][1:], strict=False):
        assert below["promoted"] == above["recorded"] + above["running"]
        assert below["recorded"] == below["promoted"] + below["paused"]


def test_the_threshold_is_the_worst_value_that_may_go_on() -> None:
    shown = snapshot(36, 1500.0)
    lowest = studies.ladder(shown)[0]["rungs"][0]
    values = sorted(
        t["status"]["rungs"][0]["value"] for t in shown.trials.values() if t["status"]["rungs"]
    )
    assert lowest["threshold"] == values[shown.ladder.limit(0, len(values)) - 1]
    assert lowest["best"] == values[0]


def test_a_study_that_nobody_has_taken_up_can_be_shown() -> None:
    made = Live()
    body = copy.deepcopy(objects()[0])
    del body["status"]
    made.see_study(body)
    page = studies.page(made.snapshot()[0])
    assert page["phase"] == "New" and page["best"] is None
    assert page["trials"]["total"] == 0 and page["brackets"] == []


# -- figures -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_every_figure_is_plain_data(kind: str) -> None:
    made = figure(snapshot(), kind)
    assert made["version"] == 1 and made["title"].startswith("digits: ")
    # The searcher predicts nothing.
    assert made["empty"] == ("nothing to draw yet" if kind == "predicted" else None)
    assert made["panels"] and answer(made).plain.startswith(b'{"version":1,')


@pytest.mark.parametrize("kind", KINDS)
def test_a_figure_of_many_trials_is_small(kind: str, many: Snapshot) -> None:
    assert len(answer(figure(many, kind)).plain) <= MOST


def test_parallel_coordinates_have_a_row_for_each_trial_with_a_value() -> None:
    shown = snapshot()
    made = parallel(shown)
    assert made["shown"] == made["of"] == len(made["trials"]) == len(made["state"])
    assert {len(column) for column in made["columns"]} == {made["shown"]}
    row = made["trials"].index(5)
    last = shown.trials[5]["status"]["rungs"][-1]
    assert made["value"][row] == pytest.approx(last["value"], rel=1e-5)
    assert made["resource"][row] == last["resource"]
    names = [each["name"] for each in made["dimensions"]]
    given = shown.trials[5]["spec"]["parameters"]
    assert made["columns"][names.index("layers")][row] == given["layers"]
    assert "seed" not in names  # a constant


def test_of_many_trials_the_best_are_among_those_shown(many: Snapshot) -> None:
    made = parallel(many)
    assert made["shown"] <= MAX_ROWS < made["of"]
    best = many.records.best
    assert best is not None and best.index in made["trials"]
    assert len(answer(made).plain) <= MOST


# -- the table -----------------------------------------------------------------------------------


def test_trials_are_sorted_and_cut_and_those_without_a_value_come_last() -> None:
    shown = snapshot(36, 1500.0)
    up = trials.table(shown, Wanted("value", limit=500))
    down = trials.table(shown, Wanted("value", descending=True, limit=500))
    values = [each["value"] for each in up["trials"]]
    found = [value for value in values if value is not None]
    assert found == sorted(found) and values[len(found) :] == [None] * (len(values) - len(found))
    assert [each["value"] for each in down["trials"]][: len(found)] == found[::-1]
    part = trials.table(shown, Wanted("value", offset=2, limit=3))
    assert part["trials"] == up["trials"][2:5] and part["total"] == up["total"] == 22


def test_trials_of_one_state() -> None:
    shown = snapshot(36, 1500.0)
    made = trials.table(shown, Wanted(state="Running"))
    assert made["total"] == 6 and {each["state"] for each in made["trials"]} == {"Running"}
    assert trials.table(shown, Wanted(offset=10**8))["trials"] == []


# -- decisions -----------------------------------------------------------------------------------


def _all_decisions(shown: Snapshot, limit: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    before: tuple[int, ...] | None = None
    more = True
    while more:
        made = decisions.page(shown, before, limit)
        found += made["decisions"]
        more = made["more"]
        assert len(made["decisions"]) <= limit and len(answer(made).plain) <= MOST
        before = tuple(map(int, made["decisions"][-1]["id"].split(".")))
    return found


@pytest.mark.parametrize("limit", [1, 7, 500])
def test_the_log_has_each_decision_once_whatever_the_size_of_its_pages(limit: int) -> None:
    shown = snapshot()
    found = _all_decisions(shown, limit)
    assert found == _all_decisions(shown, 500)
    places = [each["sequence"] for each in found]
    assert places == sorted(places, reverse=True)
    values = [each for each in found if each["what"] in ("paused", "completed")]
    recorded = sum(len(each["status"]["rungs"]) for each in shown.trials.values())
    assert len(values) == recorded
    assert sum(each["what"] == "started" for each in found) == 36


def _started_at_once(trials: int, more: dict[str, Any]) -> Snapshot:
    """As many trials as that whose attempts have all ended before any value was there."""
    made, (study, others) = Live(), objects()
    study["metadata"]["namespace"], study["spec"]["maxTrials"] = "default", trials
    made.see_study(study)
    ended = {"startTime": "2026-01-01T00:00:00Z", "outcome": "Failed", **more}
    for index in range(trials):
        body = copy.deepcopy(others[0])
        body["spec"]["index"], body["metadata"]["name"] = index, f"digits-{index}"
        attempts = [{**ended, "number": number} for number in range(3)]
        body["status"] = {"state": "Running", "attempts": attempts}
        made.see_trial(body)
    return made.snapshot()[0]


@pytest.mark.parametrize("reason", ["OOMKilled", "out of memory, " * 200])
def test_any_number_of_decisions_of_one_place_come_in_parts(reason: str) -> None:
    shown = _started_at_once(300, {"reason": reason})
    found = _all_decisions(shown, decisions.MAX_LIMIT)
    assert {each["sequence"] for each in found} == {0}
    assert len(found) == len({each["id"] for each in found}) == 300 * 4


def test_what_is_older_than_a_value_is_what_came_before_it() -> None:
    made = decisions.page(snapshot(), (12,), 500)
    found = [each for each in _all_decisions(snapshot(), 500) if each["sequence"] < 12]
    assert made["decisions"] == found and not made["more"]


def test_decisions_say_the_same_as_a_trials_own_story() -> None:
    shown = snapshot()
    found = _all_decisions(shown, 500)
    promoted = [each for each in found if each["what"] == "promoted"]
    assert promoted
    for each in promoted:
        told = [step["why"] for step in trial.page(shown, each["trial"])["story"]]
        assert f"promoted {each['why']}" in told


def test_disruptions_are_decisions_and_say_that_they_use_no_retry() -> None:
    lost = [each for each in _all_decisions(snapshot(), 500) if each["what"] == "disrupted"]
    attempts = [
        attempt
        for each in snapshot().trials.values()
        for attempt in each["status"]["attempts"]
        if attempt.get("outcome") == "Disrupted"
    ]
    assert len(lost) == len(attempts) > 0
    assert all("uses no retry" in each["why"] and each["at"] for each in lost)


# -- a trial -------------------------------------------------------------------------------------


def test_a_trials_page_has_all_that_is_recorded() -> None:
    shown = snapshot()
    made = trial.page(shown, 5)
    known = shown.trials[5]["status"]
    assert made["name"] == "digits-5" and made["suggestion"]["origin"] == "Random"
    assert (
        len(made["curve"]["x"])
        == len(made["curve"]["y"])
        == len(objects()[1][5]["status"]["curve"])
    )
    assert [each["sequence"] for each in made["rungs"]] == [e["sequence"] for e in known["rungs"]]
    assert [each["name"] for each in made["attempts"]] == [e["pod"] for e in known["attempts"]]
    assert made["story"][0]["what"] == "configuration"
    assert made["story"][-1]["what"] == "now"
    with pytest.raises(KeyError):
        trial.page(shown, 99)


def test_attempts_of_a_laptop_are_processes() -> None:
    def told(local: bool) -> str:
        story = trial.page(snapshot(), 5, local=local)["story"]
        return " ".join(step["why"] for step in story if step["what"] == "attempt")

    assert "process" in told(True) and "pod" not in told(True)
    assert "pod digits-5-0" in told(False)


def test_checkpoints_of_a_laptop_are_in_the_folder_of_the_run() -> None:
    assert trial.page(snapshot(), 5, local=True)["checkpoint"] == "trials/5/checkpoints"
    assert trial.page(snapshot(), 5)["checkpoint"] != "trials/5/checkpoints"


def test_what_moves_a_cursor_or_hides_text_is_shown() -> None:
    made, body = _with({"message": "\x1b[2J\u202eevil", "state": "Failed"})
    body["spec"]["parameters"]["activation"] = "\x07relu"
    made.see_trial(body)
    shown = made.snapshot()[0]
    for view in (trial.page(shown, 0), trials.table(shown, Wanted()), parallel(shown)):
        text = answer(view).plain.decode()
        assert "\\u001b" not in text and "\u202e" not in text and "\\u0007" not in text
