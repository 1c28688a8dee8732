"""`hyperband explain`: the story it tells is the one that the operator wrote down, and more."""

import json
import re
from typing import Any

import pytest

from hyperband.api.archive import archive_manifest
from hyperband.backends.kubernetes.objects import ARCHIVES, PODS, TRIALS
from tests.cli.fake_server import Server, call, serve, world


def steps(trial: str) -> list[dict[str, Any]]:
    result = call("explain", trial, "-o", "json")
    assert result.exit_code == 0, result.output
    told: list[dict[str, Any]] = json.loads(result.stdout)["steps"]
    return told


def texts(trial: str) -> str:
    return "\n".join(f"{step['what']}: {step['text']}" for step in steps(trial))


def test_each_decision_has_its_numbers_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(monkeypatch, world())
    best = server.study["status"]["best"]["trial"]
    told = steps(best)
    assert [step["what"] for step in told] == [
        *("configuration", "attempt", "value", "decision", "end", "decision"),
        *("attempt", "value", "decision", "end", "now"),
    ]
    assert told[2]["numbers"]["rank"] == 1
    assert told[2]["numbers"]["limit"] == 1
    assert told[5]["text"].startswith("promoted to epochs 3: good enough at once, rank 1 of 2")
    assert told[8]["text"] == "completed: trained in full"


@pytest.mark.parametrize("mode", ["Promotion", "Stopping", "Synchronous", "None"])
def test_ranks_are_those_that_the_operator_wrote(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = world(hyperband={"mode": mode}, maxTrials=12, parallelism=3)
    serve(monkeypatch, made)
    # Of each decision the operator told in an event: "s-1: loss 1.3 at epochs 1: rank 1 of 2 when".
    pattern = re.compile(r"(s-\d+): (loss \S+ at epochs \d+: rank \d+ of \d+) when it came")
    said = [match.groups() for text in made.client.said if (match := pattern.match(text))]
    assert said
    for trial, text in said:
        assert f"value: {text} when it came" in texts(trial)


def test_what_a_paused_trial_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, world(steps=3))
    assert "now rank 2 of 2, and the best 1 may go on: it takes 4 values" in texts("s-0")
    serve(monkeypatch, world())
    assert "paused for good, as the study is over (Exhausted)" in texts("s-0")


def test_what_a_pending_trial_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(monkeypatch, world(steps=3))
    pod = server.objects[PODS.plural, "s-1-1"]
    row = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "no GPU",
    }
    pod["status"] = {"phase": "Pending", "conditions": [row]}
    assert "waits for its pod to run: Unschedulable: no GPU" in texts("s-1")
    server.objects.pop((PODS.plural, "s-1-1"))
    assert "waits for its pod to run, which is not there yet" in texts("s-1")


def test_a_model_s_numbers_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(monkeypatch, world())
    suggestion = server.objects[TRIALS.plural, "s-1"]["spec"]["suggestion"]
    suggestion["origin"] = "GaussianProcess"
    suggestion["detail"] = {
        **{"mean": 0.5, "deviation": 0.1, "level": 1, "incumbent": 0.6, "improvement": 0.12}
    }
    first = steps("s-1")[0]
    assert (
        "0.5 ± 0.1 expected at epochs 3, best so far 0.6, expected improvement 0.12"
        in first["text"]
    )
    assert first["numbers"]["deviation"] == 0.1


def test_attempts_that_failed_or_were_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(monkeypatch, world())
    status = server.objects[TRIALS.plural, "s-1"]["status"]
    lost = {**status["attempts"][0], "number": 0, "outcome": "Disrupted", "reason": "Evicted"}
    lost |= {"node": "gpu-1", "gpuSeconds": 42.0}
    del lost["resource"]
    status["attempts"] = [lost, *({**a, "number": a["number"] + 1} for a in status["attempts"])]
    told = texts("s-1")
    assert "attempt 0: pod s-1-0 on node gpu-1" in told
    end = r"attempt 0 Disrupted \(Evicted\) after \d+s, 42 GPU-seconds; uses no retry"
    assert re.search(end, told)
    assert told.index("uses no retry") < told.index("value: ")


def test_archived_trials_are_explained_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(monkeypatch, world())
    before, bodies = texts("s-1"), server.world.trials
    uid = server.study["metadata"]["uid"]
    server.world.client.add(ARCHIVES, archive_manifest("team", "s", uid, 0, bodies))
    for body in bodies:
        server.objects.pop((TRIALS.plural, body["metadata"]["name"]))
    assert texts("s-1") == before
    assert "completed: trained in full" in before


def test_it_is_shown_to_people(monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(monkeypatch, world())
    server.objects[TRIALS.plural, "s-1"]["status"]["message"] = "\x1b[1m[red]"
    text = call("explain", "s-1").stdout
    assert text.startswith("s-1 of study s: Completed\n")
    assert r"Completed: \x1b[1m[red]" in text


@pytest.mark.parametrize(("name", "code"), [("s-99", 1), ("nosuch-1", 1), ("s", 2), ("s-1/x", 2)])
def test_what_is_not_there(name: str, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    server: Server = serve(monkeypatch, world(steps=1))
    assert call("explain", name).exit_code == code
    assert server.patched == []
