"""What the benchmark of many pods reads from an audit log."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from benchmarks.scale import audit
from benchmarks.scale.training import RUNG_MANAGER

START = datetime(2026, 1, 1, tzinfo=UTC)


def line(
    at: float, verb: str, resource: str, name: str, user: str, manager: str = "", code: int = 200
) -> dict[str, Any]:
    """An event as the API server writes it, answered so many seconds after the start."""
    resource, _, subresource = resource.partition("/")
    target = {"resource": resource, "namespace": "team", "name": name, "apiVersion": "v1"}
    if subresource:
        target["subresource"] = subresource

    def moment(seconds: float) -> str:
        return (START + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")

    return {
        "kind": "Event",
        "verb": verb,
        "requestURI": f"/api/v1/namespaces/team/{resource}/{name}?fieldManager={manager}",
        "user": {"username": user, "groups": ["system:masters"]},
        "objectRef": target,
        "responseStatus": {"metadata": {}, "code": code},
        "requestReceivedTimestamp": moment(at - 0.01),
        "stageTimestamp": moment(at),
    }


@pytest.fixture
def writes(tmp_path: Path) -> list[audit.Write]:
    lines = [
        line(1.0, "patch", "pods", "s-0-0", "bench", RUNG_MANAGER),
        line(1.2, "update", "hyperbandtrials/status", "s-0", audit.OPERATOR),
        line(1.3, "update", "hyperbandtrials/status", "s-1", audit.OPERATOR, code=409),
        line(2.0, "patch", "pods", "s-1-0", "bench", RUNG_MANAGER),
        line(2.1, "patch", "pods", "s-2-0", "bench", "bench-report"),
        line(2.5, "update", "hyperbandstudies/status", "s", audit.OPERATOR),
        line(3.0, "update", "hyperbandtrials/status", "s-1", audit.OPERATOR),
        line(3.2, "update", "hyperbandstudies/status", "s", audit.OPERATOR),
        line(3.4, "update", "hyperbandstudies/status", "other", audit.OPERATOR),
        line(9.0, "patch", "pods", "s-3-1", "bench", RUNG_MANAGER),
    ]
    path = tmp_path / "audit.log"
    path.write_text("".join(json.dumps(each) + "\n" for each in lines))
    return audit.read(path)


def delays(writes: list[audit.Write], begin: float, end: float) -> list[float]:
    return [after - before for before, after in audit.answers(writes, begin, end)]


def test_answers_are_from_a_report_at_a_rung_to_the_next_record(writes: list[audit.Write]) -> None:
    begin = START.timestamp()
    assert delays(writes, begin, begin + 5) == pytest.approx([0.2, 1.0])


def test_a_report_that_nobody_answers_is_infinitely_late(writes: list[audit.Write]) -> None:
    begin = START.timestamp()
    seconds = delays(writes, begin, begin + 10)
    assert audit.quantile(seconds, 0.99) == float("inf")
    assert audit.quantile(seconds, 0.5) == pytest.approx(1.0)


def test_what_was_refused_is_no_write(writes: list[audit.Write]) -> None:
    assert audit.counts(writes) == {
        ("update", "hyperbandtrials/status"): 2,
        ("update", "hyperbandstudies/status"): 3,
    }


def test_most_writes_within_a_second_of_one_study_and_of_all(writes: list[audit.Write]) -> None:
    assert audit.most_a_second(writes, "hyperbandstudies/status") == (2, 3)


def test_a_rate_is_from_the_first_to_the_last(writes: list[audit.Write]) -> None:
    rate = audit.rate(writes, ("update", "hyperbandtrials/status"))
    assert rate == pytest.approx(1 / 1.8)
    assert audit.rate(writes, ("create", "pods")) == 0.0


def test_writes_that_a_trial_did_not_need_are_counted(writes: list[audit.Write]) -> None:
    def trial(name: str, **status: Any) -> dict[str, Any]:
        return {"metadata": {"namespace": "team", "name": name}, "status": status}

    trials = [trial("s-0", attempt=0, rungs=[{}]), trial("s-1", attempt=0)]
    assert audit.beyond(writes, trials) == 0
    more = [audit.Write("create", "pods", "team", "s-1-0", audit.OPERATOR, False, 1, 2, 201)] * 2
    more += [write for write in writes if write.resource == "hyperbandtrials/status"] * 3
    assert audit.beyond([*writes, *more], trials) == 1 + 1 + 2
