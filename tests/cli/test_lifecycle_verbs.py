"""`hyperband submit`, `suspend`, `resume` and `stop`."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from hyperband.backends.kubernetes.people import FIELD_MANAGER
from tests.cli.fake_server import Server, call, serve, world
from tests.kubernetes.fake_cluster import study_body


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> Server:
    return serve(monkeypatch, world(steps=3))


@pytest.fixture
def finished(monkeypatch: pytest.MonkeyPatch) -> Server:
    return serve(monkeypatch, world())


def written(folder: Path, *bodies: dict[str, Any]) -> str:
    path = folder / "studies.yaml"
    path.write_text(yaml.safe_dump_all(bodies))
    return str(path)


def named(name: str, **spec: Any) -> dict[str, Any]:
    body = study_body(**spec)
    body["metadata"] = {"name": name}
    return body


@pytest.mark.parametrize(
    ("verb", "change", "said"),
    [
        ("suspend", {"suspend": True}, "is being suspended: its pods end"),
        ("stop", {"stop": True}, "is being stopped for good"),
    ],
)
def test_a_word_is_a_change_of_the_spec_and_said_once(
    verb: str, change: dict[str, bool], said: str, running: Server
) -> None:
    first = call(verb, "s")
    assert first.exit_code == 0
    assert said in first.stdout
    assert running.patched == [("s", {"spec": change}, FIELD_MANAGER)]
    again = call(verb, "s")
    assert again.exit_code == 0
    assert "already" in again.stdout
    assert len(running.patched) == 1


def test_a_study_goes_on_when_it_is_resumed(running: Server) -> None:
    assert "is not suspended" in call("resume", "s").stdout
    call("suspend", "s")
    assert "goes on" in call("resume", "s").stdout
    assert running.study["spec"]["suspend"] is False


def test_what_is_stopped_cannot_be_resumed(running: Server) -> None:
    call("stop", "s")
    refused = call("resume", "s")
    assert refused.exit_code == 1
    assert "cannot be undone" in refused.stderr
    assert len(running.patched) == 1


@pytest.mark.parametrize(("verb", "code"), [("suspend", 1), ("resume", 1), ("stop", 0)])
def test_a_finished_study_is_told_of_and_left_alone(verb: str, code: int, finished: Server) -> None:
    result = call(verb, "s")
    assert result.exit_code == code
    assert "(Exhausted: all 4 trials are decided)" in result.output
    assert finished.patched == []


@pytest.mark.parametrize("verb", ["suspend", "resume", "stop"])
def test_a_study_that_is_not_there(verb: str, running: Server) -> None:
    assert call(verb, "nosuch").exit_code == 1


def test_a_study_is_created_then_unchanged_then_configured(running: Server, tmp_path: Path) -> None:
    file = written(tmp_path, named("new"))
    assert "study new created in namespace team" in call("submit", file).stdout
    assert "study new unchanged" in call("submit", file).stdout
    assert (
        "study new configured"
        in call("submit", written(tmp_path, named("new", parallelism=3))).stdout
    )
    assert running.objects["hyperbandstudies", "new"]["spec"]["parallelism"] == 3


def test_several_are_submitted_and_others_objects_left_alone(
    running: Server, tmp_path: Path
) -> None:
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}
    result = call("submit", written(tmp_path, named("a"), config, named("b")))
    assert result.exit_code == 0
    assert "study a created" in result.stdout
    assert "study b created" in result.stdout
    assert "ConfigMap is left alone: kubectl apply takes it" in result.stderr


def test_nothing_is_sent_if_anything_is_wrong(running: Server, tmp_path: Path) -> None:
    result = call("submit", written(tmp_path, named("a"), named("b", maxTrials=0)))
    assert result.exit_code == 1
    assert "nothing was sent" in result.stderr
    assert "spec.maxTrials: 0" in result.stderr
    assert running.asked == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-n", "other"), "study a is of namespace team, not other"),
        (("--watch",), "--watch follows one study"),
    ],
)
def test_what_cannot_be_meant(
    words: tuple[str, ...], said: str, running: Server, tmp_path: Path
) -> None:
    body = named("a")
    body["metadata"]["namespace"] = "team"
    result = call("submit", written(tmp_path, body, named("b")), *words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert running.asked == []


def test_files_that_are_not_there_or_hold_no_study(running: Server, tmp_path: Path) -> None:
    assert call("submit", str(tmp_path / "none.yaml")).exit_code == 2
    assert call("submit", written(tmp_path)).exit_code == 2


def test_a_finished_study_is_told_of(finished: Server, tmp_path: Path) -> None:
    result = call("submit", written(tmp_path, named("s", parallelism=3)))
    assert "it is finished (Exhausted) and stays so" in result.stdout


def test_a_submitted_study_is_watched_to_its_end(finished: Server, tmp_path: Path) -> None:
    result = call("submit", "--watch", written(tmp_path, named("s")))
    assert result.exit_code == 0
    assert "Best: loss 0.6664" in result.stdout
