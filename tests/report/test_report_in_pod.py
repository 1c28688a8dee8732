"""Reports in a pod, against a server on the loopback."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from hyperband.report import _outbox, flush, report
from hyperband.report._outbox import Delivered, Failed, Refused
from hyperband.report._pod import PodAnnotation
from tests.report.fake_server import Answer, FakeServer

SOURCE = Path(__file__).parents[2] / "operator"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_outbox, "FIRST_BACKOFF", 0.01)


def test_the_pod_s_own_annotation_is_merged(pod: FakeServer) -> None:
    report(epochs=1, val_loss=0.5, accuracy=0.9)
    assert flush(10)
    (request,) = pod.requests
    assert request.path.partition("?")[0] == "/api/v1/namespaces/team/pods/digits-0-0"
    assert request.headers["Authorization"] == "Bearer first-token"
    assert request.headers["Content-Type"] == "application/merge-patch+json"
    assert list(request.body) == ["metadata"] and list(request.body["metadata"]) == ["annotations"]
    assert request.reports == [{"epochs": 1, "val_loss": 0.5, "accuracy": 0.9}]


def test_without_the_study_s_names_the_operator_is_to_judge(
    pod: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HYPERBAND_METRIC")
    monkeypatch.delenv("HYPERBAND_RESOURCE_NAME")
    report(epoch=1, los=0.5)
    assert flush(10)
    assert pod.requests[-1].reports == [{"epoch": 1, "los": 0.5}]


def test_a_renewed_token_is_used(pod: FakeServer) -> None:
    report(epochs=1, val_loss=0.5)
    assert flush(10)
    (pod.mount / "token").write_text("second-token\n")
    report(epochs=3, val_loss=0.4)
    assert [each.headers["Authorization"] for each in pod.requests] == [
        "Bearer first-token",
        "Bearer second-token",
    ]


def test_ordinary_reports_are_coalesced_and_levels_go_at_once(pod: FakeServer) -> None:
    for i in range(100):
        report(epochs=i / 100, val_loss=1.0)
    pod.wait_for(1)
    report(epochs=1, val_loss=0.5)
    assert flush(10)
    assert len(pod.requests) <= 3
    assert len(pod.requests[-1].reports) == 101


def test_the_last_report_has_arrived_when_report_returns(pod: FakeServer) -> None:
    pod.answers.extend([Answer(503), Answer(500), Answer(409), Answer(429)])
    report(epochs=3, val_loss=0.5)
    assert len(pod.requests) == 5 and pod.requests[-1].reports[-1]["epochs"] == 3


def test_a_slow_server_never_blocks_training(pod: FakeServer) -> None:
    release = threading.Event()
    pod.answers.append(Answer(until=release))
    start = time.monotonic()
    for i in range(200):
        report(epochs=i / 100, val_loss=1.0)
    assert time.monotonic() - start < 5, "less than the time limit of one request"
    assert not flush(0.01)
    release.set()
    assert flush(10)
    assert len(pod.requests[-1].reports) == 200


def test_a_missing_role_binding_is_named_once_and_waited_for(
    pod: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    message = '{"message": "pods \\"digits-0-0\\" is forbidden: cannot patch resource"}'
    pod.answers.extend([Answer(403, message)] * 2)
    for epoch in (1, 2, 3):
        report(epochs=epoch, val_loss=0.5)
    assert flush(10)  # the binding has come: what was refused is not lost
    assert [each["epochs"] for each in pod.requests[-1].reports] == [1, 2, 3]
    (first, last) = capsys.readouterr().err.splitlines()
    assert "403 pods" in first and "RoleBinding hyperband-reporter is missing" in first
    assert "kubectl apply -n team -f manifests/namespace/reporter.yaml" in first
    assert last == "hyperband.report: reports are delivered again"


def test_an_unreachable_server_is_tried_again(server: FakeServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        closed = taken.getsockname()[1]
    annotation = PodAnnotation(
        {**server.environment, "KUBERNETES_SERVICE_PORT": str(closed)}, server.mount
    )
    outcome = annotation("[]")
    assert isinstance(outcome, Failed) and f"127.0.0.1:{closed}" in outcome.problem
    assert isinstance(PodAnnotation(server.environment, server.mount)("[]"), Delivered)


def test_one_line_when_it_fails_and_one_when_it_works_again(
    pod: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    pod.answers.extend([Answer(500, "etcd is away"), Answer(500), Answer(500)])
    report(epochs=1, val_loss=0.5)
    assert flush(10)
    assert capsys.readouterr().err.splitlines() == [
        "hyperband.report: a report was not delivered and is tried again: 500 etcd is away",
        "hyperband.report: reports are delivered again",
    ]


@pytest.mark.parametrize(
    ("status", "words"),
    [(404, "team/digits-0-0 is gone"), (413, "256 KiB"), (422, "256 KiB")],
)
def test_what_repeating_cannot_mend_is_refused(server: FakeServer, status: int, words: str) -> None:
    server.answers.append(Answer(status, "no"))
    outcome = PodAnnotation(server.environment, server.mount)("[]")
    assert isinstance(outcome, Refused) and words in outcome.problem


def test_a_server_that_has_not_read_its_accounts_yet_is_asked_again(server: FakeServer) -> None:
    server.answers.append(Answer(401, "Unauthorized"))
    outcome = PodAnnotation(server.environment, server.mount)("[]")
    assert isinstance(outcome, Failed) and "token" in outcome.problem


@pytest.mark.parametrize("status", [403, 422])
def test_a_policy_s_own_message_is_enough(server: FakeServer, status: int) -> None:
    server.answers.append(Answer(status, '{"message": "ValidatingAdmissionPolicy x denied it"}'))
    outcome = PodAnnotation(server.environment, server.mount)("[]")
    assert outcome == Refused(f"{status} ValidatingAdmissionPolicy x denied it")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(429, "", {"Retry-After": "7"}), 7.0),
        (Answer(503, "", {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}), None),
        (Answer(500), None),
    ],
)
def test_retry_after(server: FakeServer, answer: Answer, expected: float | None) -> None:
    server.answers.append(answer)
    outcome = PodAnnotation(server.environment, server.mount)("[]")
    assert isinstance(outcome, Failed) and outcome.retry_after == expected


def test_a_server_that_hangs_times_out(server: FakeServer) -> None:
    release = threading.Event()
    server.answers.append(Answer(until=release))
    assert isinstance(PodAnnotation(server.environment, server.mount, timeout=0.1)("[]"), Failed)
    release.set()


def test_a_server_with_another_certificate_gets_no_token(server: FakeServer) -> None:
    (server.mount / "ca.crt").write_text("")
    assert isinstance(PodAnnotation(server.environment, server.mount)("[]"), Failed)
    assert not server.requests


def start(server: FakeServer, script: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-S", "-c", textwrap.dedent(script)],
        env={**server.environment, "PYTHONPATH": str(SOURCE), "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_everything_arrives_before_a_script_ends(server: FakeServer) -> None:
    server.answers.append(Answer(500))
    process = start(
        server,
        """
        from hyperband.report import report
        for i in range(50):
            report(epochs=i / 100, val_loss=1.0)
        """,
    )
    assert process.wait(20) == 0
    assert len(server.requests[-1].reports) == 50


def test_nothing_is_lost_when_a_script_dies_after_its_last_report(server: FakeServer) -> None:
    server.answers.append(Answer(500))
    process = start(
        server,
        """
        import os
        from hyperband.report import report
        for epoch in 1, 2, 3:
            report(epochs=epoch, val_loss=1.0)
        os._exit(7)
        """,
    )
    assert process.wait(20) == 7
    assert [each["epochs"] for each in server.requests[-1].reports] == [1, 2, 3]


def test_sigterm_ends_a_script_that_has_left_it_alone_and_reports_arrive(
    server: FakeServer,
) -> None:
    process = start(
        server,
        """
        import time
        from hyperband.report import report
        report(epochs=0.1, val_loss=1.0)
        report(epochs=0.2, val_loss=1.0)
        print("ready", flush=True)
        time.sleep(60)
        """,
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(20) == 143
    assert len(server.requests[-1].reports) == 2


@pytest.mark.parametrize("call", ["parameters()", "resource_target()", "resume_from()"])
def test_sigterm_ends_a_script_that_has_not_reported_yet(server: FakeServer, call: str) -> None:
    """The first epoch may take hours. As a container's first process it would ignore SIGTERM."""
    process = start(
        server,
        f"""
        import time
        from hyperband.report import parameters, resource_target, resume_from
        {call}
        print("ready", flush=True)
        time.sleep(60)
        """,
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(20) == 143  # by sys.exit; the kernel's own way would be -15


def test_a_script_s_own_handler_of_sigterm_stays(server: FakeServer) -> None:
    process = start(
        server,
        """
        import signal, sys, time
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))
        from hyperband.report import report
        report(epochs=0.1, val_loss=1.0)
        print("ready", flush=True)
        time.sleep(60)
        """,
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(20) == 9
    assert len(server.requests[-1].reports) == 1


def test_a_forked_child_neither_hangs_nor_sends_for_its_parent(server: FakeServer) -> None:
    process = start(
        server,
        """
        import os, sys
        from hyperband.report import report
        report(epochs=1, val_loss=1.0)
        child = os.fork()
        if child == 0:
            sys.exit(0)
        assert os.waitpid(child, 0)[1] == 0
        report(epochs=3, val_loss=1.0)
        """,
    )
    assert process.wait(20) == 0
    assert [each["epochs"] for each in server.requests[-1].reports] == [1, 3]
