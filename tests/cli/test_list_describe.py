"""`hyperband list` and `hyperband describe`, and how errors of a cluster are told."""

import json

import pytest
import yaml

from hyperband.api.words import span
from hyperband.backends.kubernetes.api_errors import (
    Forbidden,
    KubernetesError,
    NotFound,
    Unauthorized,
    Unreachable,
)
from hyperband.backends.kubernetes.objects import STUDIES, TRIALS
from tests.cli.fake_server import Server, call, serve, world
from tests.kubernetes.fake_cluster import study_body


@pytest.fixture
def finished(monkeypatch: pytest.MonkeyPatch) -> Server:
    return serve(monkeypatch, world())


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> Server:
    return serve(monkeypatch, world(steps=3))


def add_study(server: Server, name: str, namespace: str) -> None:
    body = study_body()
    body["metadata"] = {"name": name, "namespace": namespace, "generation": 1}
    server.world.client.add(STUDIES, body)


def test_studies_are_listed_in_order_and_of_one_namespace_unless_all_are_wanted(
    finished: Server,
) -> None:
    add_study(finished, "a", "team")
    add_study(finished, "z", "other")
    own = call("list")
    assert own.exit_code == 0
    lines = own.stdout.splitlines()
    assert lines[0].split()[0] == "NAME"
    assert [line.split()[0] for line in lines[1:]] == ["a", "s"]
    assert lines[1].split()[1:4] == ["Promotion", "Random", "New"]
    assert "Exhausted" in lines[2]
    assert "4/4" in lines[2]
    every = call("list", "-A").stdout.splitlines()
    assert [line.split()[:2] for line in every[1:]] == [
        ["other", "z"],
        ["team", "a"],
        ["team", "s"],
    ]


def test_a_list_for_scripts_has_numbers(finished: Server) -> None:
    (row,) = json.loads(call("list", "-o", "json").stdout)
    assert row["name"] == "s"
    assert row["trials"] == row["maxTrials"] == 4
    assert row["best"] == finished.study["status"]["best"]["value"]
    assert yaml.safe_load(call("list", "-o", "yaml").stdout)[0]["status"] == "Exhausted"


def test_no_study_is_no_error(finished: Server) -> None:
    none = call("list", "-n", "empty")
    assert none.exit_code == 0
    assert none.stdout == ""
    assert "no study in namespace empty; -A lists" in none.stderr
    assert call("list", "-n", "empty", "-o", "json").stdout == "[]\n"


def test_a_study_that_runs_is_described_by_its_pods_alone(running: Server) -> None:
    text = call("describe", "s").stdout
    assert "3 of 4, 2 at a time" in text
    assert "in progress" in text
    assert "epochs" in text
    assert "0 to 1" in text
    # A study may have ten thousand trials: they are never listed.
    assert ("list", TRIALS.plural) not in running.asked


def test_a_study_that_is_over_is_described(finished: Server) -> None:
    text = call("describe", "s").stdout
    assert "best: loss" in text
    assert "Exhausted" in text
    assert "in progress" not in text
    for kind in ("Ready", "Progressing", "Finished"):
        assert kind in text
    told = json.loads(call("describe", "s", "-o", "json").stdout)
    assert told["bestTrial"]["trial"] == finished.study["status"]["best"]["trial"]
    assert told["counts"]["total"] == 4
    assert [rung["resource"] for rung in told["brackets"][0]["rungs"]] == [1, 3]
    assert told["events"]


def test_events_that_may_not_be_read_are_left_out(finished: Server) -> None:
    def refuse(verb: str, plural: str) -> None:
        if plural == "events":
            raise Forbidden(403, "Forbidden", "events is forbidden")

    finished.fault = refuse
    described = call("describe", "s")
    assert described.exit_code == 0
    assert "Exhausted" in described.stdout


def test_a_pod_with_forged_labels_shows_no_trial_of_others(running: Server) -> None:
    for trial in running.world.client.bodies(TRIALS):
        trial["metadata"]["ownerReferences"][0]["uid"] = "another"
    assert json.loads(call("describe", "s", "-o", "json").stdout)["runningTrials"] == []


def test_what_others_wrote_is_shown_and_not_obeyed(finished: Server) -> None:
    finished.study["status"]["conditions"][0]["message"] = "\x1b[31m[bold]red"
    text = call("describe", "s").stdout
    assert "\x1b" not in text
    assert r"\x1b[31m[bold]red" in text


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (Unreachable("get at http://x"), "cannot be reached (get at http://x): is it up"),
        (Unauthorized(401, "Unauthorized", "who?"), "does not know you (who?): log in"),
        (Forbidden(403, "Forbidden", "you may not"), "you may not: ask for the role edit"),
        (NotFound(404, "", "page not found"), "has no HyperbandStudy: install crds/"),
    ],
)
@pytest.mark.parametrize("words", [("list",), ("describe", "s"), ("watch", "s")])
def test_errors_are_told_with_their_mend(
    error: KubernetesError, told: str, words: tuple[str, ...], finished: Server
) -> None:
    def fail(verb: str, plural: str) -> None:
        raise error

    finished.fault = fail
    result = call(*words)
    assert result.exit_code == 1
    assert f"hyperband {words[0]}: " in result.stderr
    assert told in result.stderr


@pytest.mark.parametrize("verb", ["describe", "watch"])
def test_a_study_that_is_not_there(verb: str, finished: Server) -> None:
    missing = call(verb, "nosuch")
    assert missing.exit_code == 1
    assert "there is no study 'nosuch' in namespace team: name its namespace" in missing.stderr


def test_bad_flags_are_bad_usage(finished: Server) -> None:
    assert call("list", "-o", "xml").exit_code == 2
    assert call("describe").exit_code == 2


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (119, "119s"), (120, "2m"), (3600, "1h"), (3660, "1h1m"), (180000, "2d2h")],
)
def test_spans_are_as_kubectl_writes_them(seconds: float, text: str) -> None:
    assert span(seconds) == text
