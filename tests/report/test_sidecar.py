"""The sidecar as a process, against a server on the loopback; and what lines of the file mean."""

import json
import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hyperband.api.metrics import parse_metrics
from hyperband.report import report
from hyperband.report._history import History
from hyperband.report._written import MAX_UNUSABLE, Unusable, read_line
from hyperband.report.sidecar import Known, resume
from tests.report.fake_server import Answer, FakeServer

SOURCE = Path(__file__).parents[2] / "operator"


# -- lines -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b'{"epochs": 1, "loss": 0.5}', {"epochs": 1, "loss": 0.5}),
        (b'{"epochs": 1, "loss": 0.5, "note": "x", "a": [1], "b": null}', None),
        (b'\xef\xbb\xbf{"epochs": 1, "loss": 2}', {"epochs": 1, "loss": 2}),
        (b'{"epochs": 1, "loss": "nan"}', {"epochs": 1, "loss": math.nan}),
        (b'{"epochs": 1, "loss": NaN}', {"epochs": 1, "loss": math.nan}),
        (b'{"epochs": 1, "loss": "+Infinity"}', {"epochs": 1, "loss": math.inf}),
        (b'{"epochs": 1, "loss": 1e999}', {"epochs": 1, "loss": math.inf}),
        (b'{"epochs": 1, "loss": -' + b"9" * 400 + b"}", {"epochs": 1, "loss": -math.inf}),
    ],
)
def test_reports(line: bytes, expected: dict[str, float] | None) -> None:
    found = read_line(line, "epochs", "loss")
    assert not isinstance(found, Unusable)
    assert str(found) == str(expected or {"epochs": 1, "loss": 0.5})


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'{"epochs": 1}', 'has no "loss", only epochs'),
        (b'{"epoch": 1, "loss": 1}', 'has no "epochs", only epoch, loss'),
        (b'{"epochs": 1, "loss": "0.5"}', "report a number, without quotes"),
        (b'{"epochs": 1, "loss": true}', "report a number"),
        (b'{"epochs": -1, "loss": 1}', "report a number from 0 up"),
        (b"[1, 2]", "write an object"),
        (b"3", "write an object"),
        (b"epochs=1 loss=0.5", "epochs=1 loss=0.5"),
        (b'{"epochs": 1, "loss": 0.', "write an object"),
        (b"\xff\xfe\x00garbage\x80" * 1000, "write an object"),
        (b"[" * 60_000, "write an object"),
        (b"9" * 60_000, "write an object"),
        (b'{"' + b"k" * 60_000 + b'": 1}', "write an object"),
    ],
)
def test_what_is_no_report_is_left_to_the_operator_to_tell_of(line: bytes, words: str) -> None:
    found = read_line(line, "epochs", "loss")
    assert isinstance(found, Unusable) and len(found.entry) <= MAX_UNUSABLE
    history = History("epochs", "loss", ())
    history.complain(found.entry)
    history.add({"epochs": 2, "loss": 0.25})
    read = parse_metrics(history.text(), "loss", "epochs")
    assert [each.resource for each in read.reports] == [2], "the others are not lost by it"
    assert read.error is not None and read.error.startswith("report 1 ") and words in read.error


def test_what_can_be_read_but_is_nested_too_deeply_to_be_written_ends_nobody() -> None:
    """Reading and writing give up at depths that differ by one; the frames on the way count."""
    limit = sys.getrecursionlimit()
    for depth in range(limit - 200, limit + 1):
        found = read_line(b"[" * depth + b"]" * depth, "epochs", "loss")
        assert isinstance(found, Unusable) and len(found.entry) <= MAX_UNUSABLE
        resume("[" * depth + "]" * depth, History("epochs", "loss", ()), known())


# -- going on --------------------------------------------------------------------------------


def known() -> Known:
    return Known("epochs", "loss")


def test_what_comes_again_is_passed_over() -> None:
    history, seen = History("epochs", "loss", ()), known()
    resume('["bad", {"epochs": 1, "loss": 1}, {"epochs": 2, "loss": NaN}]', history, seen)
    again: list[dict[str, float]] = [
        {"epochs": 1, "loss": 1},
        {"epochs": 2, "loss": math.nan},
        {"epochs": 2, "loss": 5},  # written when we were away
        {"epochs": 3, "loss": 1},
    ]
    assert [seen.take(each) for each in again] == [False, False, True, True]
    assert history.text() == '["bad",{"epochs":1,"loss":1},{"epochs":2,"loss":NaN}]'


def test_going_back_is_for_the_operator_to_tell_of_as_long_as_the_file_is_the_same() -> None:
    seen = known()
    assert all(seen.take({"epochs": each, "loss": 1}) for each in (5, 3))
    seen.begin()
    assert not seen.take({"epochs": 3, "loss": 1})


@pytest.mark.parametrize("annotation", ["", "{", "3", "[" * 99_999, '"x"', '{"epochs": 1}'])
def test_an_annotation_of_somebody_else_is_no_obstacle(annotation: str) -> None:
    history = History("epochs", "loss", ())
    resume(annotation, history, known())
    history.add({"epochs": 1, "loss": 1})
    json.loads(history.text())


# -- the process -----------------------------------------------------------------------------


class Sidecar:
    """A running one."""

    def __init__(self, server: FakeServer, path: Path, flush_seconds: float) -> None:
        self._server, self.path = server, path
        self._flush_seconds = flush_seconds
        self.process = self._start()

    def _start(self) -> subprocess.Popen[str]:
        before = len(self._server.requests)
        fresh = not self.path.exists()
        process = subprocess.Popen(
            [sys.executable, "-S", "-m", "hyperband.report.sidecar"],
            env={
                **self._server.environment,
                "HYPERBAND_REPORT_FILE": str(self.path),
                "HYPERBAND_REPORT_INTERVAL": "0.05",
                "HYPERBAND_FLUSH_SECONDS": str(self._flush_seconds),
                "PYTHONPATH": str(SOURCE),
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            stderr=subprocess.PIPE,
            text=True,
        )
        if fresh:
            while not self.path.exists():
                assert process.poll() is None
        else:
            self._server.wait_until(lambda: len(self._server.requests) > before)
        return process

    def write(self, text: str) -> None:
        with self.path.open("a") as file:
            file.write(text)

    def add(self, *epochs: float) -> None:
        for each in epochs:
            self.write(json.dumps({"epochs": each, "val_loss": 1 / each}) + "\n")

    def stop(self) -> tuple[int, str]:
        """SIGTERM; exit code and log."""
        self.process.send_signal(signal.SIGTERM)
        _, log = self.process.communicate(timeout=20)
        return self.process.returncode, log

    def kill_and_start(self) -> None:
        self.process.kill()
        self.process.communicate()
        self.process = self._start()


@pytest.fixture
def start(server: FakeServer, tmp_path: Path) -> Iterator[Callable[..., Sidecar]]:
    started: list[Sidecar] = []

    def begin(flush_seconds: float = 20) -> Sidecar:
        started.append(Sidecar(server, tmp_path / "metrics.jsonl", flush_seconds))
        return started[-1]

    yield begin
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
            each.process.communicate()


def epochs(server: FakeServer) -> list[Any]:
    return [each["epochs"] for each in server.reports]


def test_lines_become_the_annotation(server: FakeServer, start: Callable[..., Sidecar]) -> None:
    sidecar = start()
    sidecar.add(1)
    server.wait_until(lambda: epochs(server) == [1])
    sidecar.add(2, 3)
    assert sidecar.stop() == (0, "")
    assert epochs(server) == [1, 2, 3]
    (request, *_) = server.requests
    assert request.headers["Authorization"] == "Bearer first-token"
    assert "KUBERNETES" not in str(server.reports)


def test_without_a_report_nothing_is_sent(
    server: FakeServer, start: Callable[..., Sidecar]
) -> None:
    sidecar = start()
    code, log = sidecar.stop()
    assert not server.requests
    # What the operator quotes, should the training have ended well.
    assert code == 1 and f"nothing was written to {sidecar.path}" in log.splitlines()[-1]


def test_something_else_in_the_file_s_place_is_named(
    server: FakeServer, start: Callable[..., Sidecar]
) -> None:
    sidecar = start()
    sidecar.path.unlink()
    sidecar.path.symlink_to("/tmp/report.jsonl")
    code, log = sidecar.stop()
    assert code == 1 and "is no file: write lines of JSON" in log.splitlines()[-1]


def test_last_lines_without_an_end_are_sent(
    server: FakeServer, start: Callable[..., Sidecar]
) -> None:
    sidecar = start()
    sidecar.add(1)
    sidecar.write('{"epochs": 3, "val_loss": 0.5}')
    assert sidecar.stop()[0] == 0
    assert epochs(server) == [1, 3]


def test_restarts_lose_nothing_and_repeat_nothing(
    server: FakeServer, start: Callable[..., Sidecar]
) -> None:
    sidecar = start()
    sidecar.add(1)
    server.wait_until(lambda: epochs(server) == [1])
    for epoch in (2, 3, 4):
        sidecar.kill_and_start()
        sidecar.add(epoch)
        server.wait_until(lambda: epoch in epochs(server))  # noqa: B023
    assert sidecar.stop()[0] == 0
    assert epochs(server) == [1, 2, 3, 4]


def test_a_restart_remembers_what_the_file_has_no_more(
    server: FakeServer, start: Callable[..., Sidecar]
) -> None:
    sidecar = start()
    sidecar.add(1, 2)
    server.wait_until(lambda: epochs(server) == [1, 2])
    sidecar.path.write_text("")
    sidecar.kill_and_start()
    sidecar.add(3)
    assert sidecar.stop()[0] == 0
    assert epochs(server) == [1, 2, 3]


def test_before_the_annotation_is_read_nothing_is_written_over_it(
    server: FakeServer, start: Callable[..., Sidecar]
) -> None:
    sidecar = start()
    sidecar.add(1)
    server.wait_until(lambda: epochs(server) == [1])
    server.answers.extend([Answer(503)] * 2)
    sidecar.kill_and_start()
    sidecar.add(2)
    server.wait_until(lambda: epochs(server) == [1, 2])
    assert sidecar.stop()[0] == 0


def test_a_file_that_is_written_anew_each_time_is_read_once(
    server: FakeServer, start: Callable[..., Sidecar]
) -> None:
    sidecar = start()
    text = ""
    for epoch in (1, 2, 3):
        text += json.dumps({"epochs": epoch, "val_loss": 0.5}) + "\n"
        fresh = sidecar.path.with_name("fresh")
        fresh.write_text(text)
        fresh.rename(sidecar.path)
        server.wait_until(lambda: epoch in epochs(server))  # noqa: B023
    assert sidecar.stop()[0] == 0
    assert epochs(server) == [1, 2, 3]


def test_garbage_is_told_of_and_stops_nothing(
    server: FakeServer, start: Callable[..., Sidecar]
) -> None:
    sidecar = start()
    with sidecar.path.open("ab") as file:
        file.write(os.urandom(3_000_000).replace(b"{", b""))
        file.write(b"\n" + b"x" * 3_000_000 + b"\n")
    sidecar.add(1)
    code, log = sidecar.stop()
    assert code == 0
    first, *reports = server.reports
    assert isinstance(first, str) and [each["epochs"] for each in reports] == [1]
    assert len(log.splitlines()) <= 101, "the log is bounded too"


def test_a_symlink_to_the_token_gives_nothing_away(
    server: FakeServer, start: Callable[..., Sidecar]
) -> None:
    sidecar = start()
    sidecar.add(1)
    server.wait_until(lambda: epochs(server) == [1])
    sidecar.path.unlink()
    sidecar.path.symlink_to(server.mount / "token")
    code, log = sidecar.stop()
    assert code == 0 and epochs(server) == [1]
    assert "is no file" in log and "first-token" not in log


def test_an_api_server_that_is_away_at_the_end_holds_nobody_up(
    server: FakeServer, start: Callable[..., Sidecar]
) -> None:
    sidecar = start(flush_seconds=1)
    server.answers.extend([Answer(503, "etcd is away")] * 1000)
    sidecar.add(3)
    server.wait_for(2)  # it has taken the first answer
    code, log = sidecar.stop()
    assert code == 75, "for the operator: no fault of the training"
    assert "503 etcd is away" in log.splitlines()[-1]


def test_a_file_that_is_too_long_to_be_read_leaves_time_to_send(
    server: FakeServer, start: Callable[..., Sidecar]
) -> None:
    sidecar = start(flush_seconds=6)  # a quarter of it for sending
    sidecar.add(1)
    server.wait_until(lambda: epochs(server) == [1])
    with sidecar.path.open("a") as file:
        file.write(json.dumps({"epochs": 2, "val_loss": 1}) + "\n")
        file.truncate(2**42)  # a hole, which takes minutes to read and no disk
    code, log = sidecar.stop()
    assert code == 1, "for the operator: the API server is not to blame"
    assert "report less often" in log.splitlines()[-1]
    assert [each["epochs"] for each in server.reports if isinstance(each, dict)] == [1, 2]


def test_a_hanging_server_does_not_hold_the_pod(
    server: FakeServer, start: Callable[..., Sidecar]
) -> None:
    release = threading.Event()
    server.answers.extend([Answer(until=release)] * 10)
    sidecar = start(flush_seconds=0.5)
    sidecar.add(1)
    server.wait_for(1)
    assert sidecar.stop()[0] == 75
    release.set()


def test_a_refusal_is_another_exit_code(server: FakeServer, start: Callable[..., Sidecar]) -> None:
    sidecar = start()
    refusal = Answer(403, '{"message": "ValidatingAdmissionPolicy x denied it"}')
    server.answers.extend([refusal] * 1000)
    sidecar.add(1)
    code, log = sidecar.stop()
    assert code == 1 and "ValidatingAdmissionPolicy x denied it" in log.splitlines()[-1]


def test_a_script_that_reports_needs_no_change(
    server: FakeServer, start: Callable[..., Sidecar], monkeypatch: pytest.MonkeyPatch
) -> None:
    sidecar = start()
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HYPERBAND_TOKEN_MOUNT", "/nowhere")
    monkeypatch.setenv("HYPERBAND_REPORT_FILE", str(sidecar.path))
    report(epochs=1, val_loss=math.nan)
    report(epochs=3, val_loss=0.5)
    assert sidecar.stop() == (0, "")
    assert epochs(server) == [1, 3]
