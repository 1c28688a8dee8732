"""Lines of the log, as text and as JSON."""

import asyncio
import json
import logging
from collections.abc import Iterator
from datetime import datetime
from io import StringIO

import pytest

from hyperband.backends.kubernetes.telemetry.context import about
from hyperband.backends.kubernetes.telemetry.logs import JsonLines, TextLines


class Lines:
    """A logger of its own and what it has written."""

    def __init__(self, formatter: logging.Formatter) -> None:
        self._text = StringIO()
        self._handler = logging.StreamHandler(self._text)
        self._handler.setFormatter(formatter)
        self.log = logging.getLogger("tests.lines")
        self.log.propagate = False
        self.log.setLevel(logging.INFO)
        self.log.addHandler(self._handler)

    def close(self) -> None:
        self.log.removeHandler(self._handler)

    @property
    def text(self) -> str:
        return self._text.getvalue()

    @property
    def last(self) -> dict[str, object]:
        line: dict[str, object] = json.loads(self.text.splitlines()[-1])
        return line


@pytest.fixture
def lines(request: pytest.FixtureRequest) -> Iterator[Lines]:
    made = Lines(request.param())
    yield made
    made.close()


as_json = pytest.mark.parametrize("lines", [JsonLines], indirect=True)
as_text = pytest.mark.parametrize("lines", [TextLines], indirect=True)


@as_json
def test_a_line_has_time_level_logger_and_message(lines: Lines) -> None:
    lines.log.info("%d pods", 3)
    assert lines.last | {"time": ""} == {
        "time": "",
        "level": "INFO",
        "logger": "tests.lines",
        "message": "3 pods",
    }
    time = str(lines.last["time"])
    assert time.endswith("Z")
    assert abs((datetime.fromisoformat(time) - datetime.now().astimezone()).total_seconds()) < 60


@as_json
async def test_what_is_logged_in_a_study_s_task_has_its_study(lines: Lines) -> None:
    async def work() -> None:
        lines.log.info("in the task")
        with about("team", "digits", "digits-7"):
            lines.log.info("of a trial")
        lines.log.info("again")

    with about("team", "digits"):
        task = asyncio.create_task(work())
    lines.log.info("outside")
    assert "study" not in lines.last
    await task
    found = [json.loads(line) for line in lines.text.splitlines()]
    assert [(f.get("namespace"), f.get("study"), f.get("trial")) for f in found] == [
        (None, None, None),
        ("team", "digits", None),
        ("team", "digits", "digits-7"),
        ("team", "digits", None),
    ]


@as_json
def test_an_exception_is_one_field_of_one_line(lines: Lines) -> None:
    try:
        raise ValueError("odd\nthing")
    except ValueError:
        lines.log.exception("unexpected")
    assert lines.text.count("\n") == 1
    assert lines.last["message"] == "unexpected"
    assert str(lines.last["exception"]).startswith("Traceback")
    assert "ValueError: odd\nthing" in str(lines.last["exception"])


@as_json
def test_what_kopf_says_of_a_study_has_it(lines: Lines) -> None:
    ref = {"kind": "HyperbandStudy", "namespace": "team", "name": "digits", "uid": "u"}
    lines.log.warning("handler failed", extra={"k8s_ref": ref, "k8s_skip": True})
    assert (lines.last["namespace"], lines.last["study"]) == ("team", "digits")
    assert not {"k8s_ref", "k8s_skip"} & lines.last.keys()


@as_json
def test_a_value_that_json_does_not_know_is_no_trouble(lines: Lines) -> None:
    lines.log.info("odd", extra={"thing": object(), "number": float("nan")})
    assert lines.text.count("\n") == 1
    assert '"message": "odd"' in lines.text


@as_text
def test_a_line_of_text_names_the_study_once(lines: Lines) -> None:
    with about("team", "digits"):
        lines.log.info("team/digits: taken up")
        lines.log.info("its model could not be fitted")
    lines.log.info("leading")
    said = [line.split(": ", 1)[1] for line in lines.text.splitlines()]
    assert said == [
        "team/digits: taken up",
        "team/digits: its model could not be fitted",
        "leading",
    ]
