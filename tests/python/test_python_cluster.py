"""`hyperband.Study` on a cluster that a task of the operator works on, in memory."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from hyperband import Study, StudyError
from hyperband.backends.kubernetes.api_errors import Unreachable
from hyperband.backends.kubernetes.connection import Connection
from hyperband.backends.kubernetes.objects import STUDIES
from hyperband.backends.kubernetes.people import FIELD_MANAGER
from hyperband.python import remote
from tests.cli.fake_server import Server, world
from tests.kubernetes.fake_cluster import NAMESPACE, World


def serve(monkeypatch: pytest.MonkeyPatch, made: World) -> Server:
    server = Server(made)
    monkeypatch.setattr(remote, "connect", lambda *_: Connection("http://x", NAMESPACE))
    monkeypatch.setattr(remote, "Client", lambda *_, **__: server)
    return server


@pytest.fixture
def finished(monkeypatch: pytest.MonkeyPatch) -> Server:
    return serve(monkeypatch, world())


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> Server:
    return serve(monkeypatch, world(steps=3))


def test_a_study_of_a_cluster_is_read(finished: Server) -> None:
    study = Study.get("s")
    assert study.finished and study.spec["maxTrials"] == 4
    best = study.best
    assert best is not None and best.trial == finished.study["status"]["best"]["trial"]
    trials = study.trials()
    assert len(trials) == 4 and trials.loc[trials["value"].idxmin(), "trial"] == best.trial
    assert len(study.values()) >= 4
    assert study.plot("timeline")._repr_png_().startswith(b"\x89PNG")
    assert best.trial in study._repr_html_()
    assert f"in namespace {NAMESPACE}" in repr(study)


def test_studies_are_listed(finished: Server) -> None:
    (study,) = Study.list()
    assert study.name == "s" and study.finished
    assert Study.list("elsewhere") == []
    assert [each.name for each in Study.list("elsewhere", all_namespaces=True)] == ["s"]


def test_a_study_is_created_and_brought_up_to_date(running: Server) -> None:
    body = {**Study.get("s").to_dict()}
    body["metadata"] = {"name": "new"}
    study = Study.from_dict(body)
    study.submit()
    there = running.objects[STUDIES.plural, "new"]
    assert there["spec"] == body["spec"] and there["metadata"]["namespace"] == NAMESPACE
    assert not study.finished and study.best is None
    body["spec"] = {**body["spec"], "maxTrials": 5}
    Study.from_dict(body).submit()
    assert running.objects[STUDIES.plural, "new"]["spec"]["maxTrials"] == 5


@pytest.mark.parametrize(
    ("order", "change"),
    [
        (Study.suspend, {"suspend": True}),
        (Study.resume, {"suspend": False}),
        (Study.stop, {"stop": True}),
    ],
)
def test_a_person_s_word_is_a_change_of_the_spec(
    order: Callable[[Study], None], change: dict[str, bool], running: Server
) -> None:
    order(Study.get("s"))
    assert running.patched == [("s", {"spec": change}, FIELD_MANAGER)]


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda: Study.get("none"), f"no study 'none' in namespace {NAMESPACE}: name its"),
        (lambda: Study.get("s").suspend(), "study s is finished .*submit a study of another name"),
        (lambda: Study.get("s").submit(), "study s is finished .*give another name"),
        (lambda: Study.get("s").submit("other"), f"is of namespace {NAMESPACE}, not other"),
    ],
)
def test_what_cannot_be_is_told(ask: Callable[[], Any], said: str, finished: Server) -> None:
    with pytest.raises(StudyError, match=said):
        ask()
    assert not finished.patched


def test_a_cluster_that_is_away_is_told(finished: Server) -> None:
    study = Study.get("s")

    def away(verb: str, plural: str) -> None:
        raise Unreachable("connection refused")

    finished.fault = away
    with pytest.raises(StudyError, match=r"the cluster cannot be reached .*is it up"):
        _ = study.status


def test_waiting_ends_with_the_study(
    running: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(remote, "POLL_SECONDS", 0.0)
    asked, over = 0, world().study["status"]

    def goes_on(verb: str, plural: str) -> None:
        nonlocal asked
        asked += 1
        if asked == 3:
            running.study["status"] = over

    running.fault = goes_on

    async def cell() -> Study:  # a notebook's own loop is running
        return Study.get("s").wait()

    assert asyncio.run(cell()).finished
    told = capsys.readouterr().out.splitlines()
    assert len(told) == 2 and "best loss" in told[-1]


def test_a_wait_has_an_end(running: Server) -> None:
    with pytest.raises(TimeoutError, match=r"study s is not over after 0 s: it goes on; wait\(\)"):
        Study.get("s").wait(timeout=0, progress=False)
