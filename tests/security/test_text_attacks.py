"""Text of strangers that reaches a terminal, a log or the operator's memory."""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from hyperband.api.metrics import parse_metrics
from hyperband.api.study import parse_study
from hyperband.backends.kubernetes.telemetry.logs import JsonLines, TextLines
from hyperband.cli.main import app
from hyperband.cli.simulate import table
from hyperband.cli.summary import summarize
from hyperband.cli.watch import one_line, view
from hyperband.core.errors import InvalidStudyError, all_printable, printable
from tests.kubernetes.fake_cluster import World, study_body
from tests.studies import changed, good_study

# Clears the screen, sets the terminal's title, and goes back over what was said.
ESCAPES = "\x1b[2J\x1b]0;owned\x07\r\u202eevil\x9b31m"
MARKUP = "[/red][link=https://evil.example]click[/link]"


def harmless(text: str) -> bool:
    return not any(c < " " or "\x7f" <= c <= "\x9f" or c == "\u202e" for c in text if c != "\n")


def test_control_characters_are_shown_and_not_obeyed() -> None:
    assert printable("a\x1b[2J\tb\nc\u202e\x9b") == "a\\x1b[2J\tb\nc\\u202e\\x9b"
    assert all_printable({"\x07": ["\x1b", 1]}) == {"\\x07": ["\\x1b", 1]}
    assert harmless(str(InvalidStudyError(ESCAPES, ESCAPES)))
    error = parse_metrics(
        f'["{ESCAPES.encode("unicode_escape").decode()}"]', "loss", "epochs"
    ).error
    assert error is None or harmless(error)


@pytest.mark.parametrize("text", [ESCAPES, MARKUP])
def test_tables_of_the_command_line_show_what_strangers_wrote(text: str) -> None:
    study = good_study()
    study["spec"] |= {"objective": {"metric": text}, "resource": {"name": text, "max": 27}}
    best = {"trial": text, "value": 1, "text": text, "resource": 9, "parameters": {text: text}}
    rungs = [{"bracket": 0, "rungs": [{"resource": 1, "trials": 1, "best": 0.5}]}]
    study["status"] = {
        "best": best,
        "brackets": rungs,
        "trials": {},
        "resourceUnits": 1,
        "conditions": [{"type": "Ready", "status": "False", "reason": "No", "message": text}],
    }
    states = ("Running", "Failed")
    trials = [
        {
            "metadata": {"name": f"digits-{i}"},
            "spec": {"index": i, "suggestion": {"origin": "Random"}},
            "status": {
                "state": state,
                "message": text,
                "attempt": 0,
                "latest": {"text": text, "resource": 1},
            },
        }
        for i, state in enumerate(states)
    ]
    shown_study, shown_trials = all_printable(study), all_printable(trials)
    console = Console(width=400, force_terminal=False)
    with console.capture() as capture:
        console.print(view(shown_study, shown_trials))
        console.print(summarize(shown_study, shown_trials))
    assert harmless(capture.get()) and harmless(one_line(shown_study, shown_trials))
    assert printable(text)[:10] in capture.get()


def test_a_metric_s_name_moves_no_terminal_in_simulations() -> None:
    study = parse_study(changed(good_study(), {"spec.objective.metric": ESCAPES + MARKUP})).study
    console = Console(width=400, force_terminal=False)
    with console.capture() as capture:
        console.print(table(study, []))
    assert harmless(capture.get()) and MARKUP[:6] in capture.get()


@pytest.mark.parametrize("lines", [TextLines, JsonLines])
def test_no_text_makes_up_lines_of_the_log(lines: Callable[[], logging.Formatter]) -> None:
    forged = f"{ESCAPES}\n00:00:00.000 INFO    hyperband: all is well"
    record = logging.LogRecord("hyperband", logging.INFO, "", 0, "said: %s", (forged,), None)
    text = lines().format(record)
    assert len(text.splitlines()) == 1 and harmless(text)


async def test_what_a_training_says_at_its_end_moves_no_terminal_in_events() -> None:
    world = World(study_body(failurePolicy={"retries": 0, "maxFailedTrials": 0}))
    await world.step()
    pod = world.pod("s-0-0")
    end = {"exitCode": 1, "reason": "Error", "message": ESCAPES, **times()}
    status = [{"name": "train", "state": {"terminated": end}}]
    pod["status"] = {"phase": "Failed", "containerStatuses": status, **started()}
    world.show(world.client.touch(pod))
    await world.step()
    world.seconds += 60
    await world.step()
    messages = [event["message"] for event in world.client.events()]
    assert any("evil" in message for message in messages)
    assert all(harmless(message) for message in messages)
    for row in world.study["status"]["conditions"]:
        assert harmless(row["message"])


def times() -> dict[str, str]:
    return {"startedAt": "2026-01-01T00:00:04Z", "finishedAt": "2026-01-01T00:00:10Z"}


def started() -> dict[str, str]:
    return {"startTime": "2026-01-01T00:00:00Z"}


# -- a pod of another namespace ------------------------------------------------------------------


async def test_a_pod_of_another_namespace_is_no_attempt_whatever_owner_it_names() -> None:
    """Its writer knows the trial's uid; the garbage collector needs seconds to come."""
    world = World(study_body())
    await world.step()
    true = world.pod("s-0-0")
    forged = {
        **true,
        "metadata": {
            **true["metadata"],
            "namespace": "attacker",
            "uid": "forged",
            "annotations": {"hyperband.dev/metrics": '{"epochs": 1, "loss": -1}'},
        },
        "status": {"phase": "Running", **started()},
    }
    world.show(forged)
    await world.step()
    for trial in world.trials:
        assert not (trial.get("status") or {}).get("rungs")
    assert "best" not in (world.study.get("status") or {})
    calls = [call for call in world.client.calls if "attacker" in str(call)]
    assert not calls, "nor is it ours to end"


# -- files ---------------------------------------------------------------------------------------

ANCHORS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(12)
)
SELF = "a: &a [*a]\n"
MERGES = "a: &a {x: 1}\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} {{<<: [{', '.join(['*' + chr(97 + i)] * 9)}]}}\n"
    for i in range(12)
)
DEEP = "[" * 100_000
DIGITS = "a: 0x" + "f" * 1_000_000 + "\n"
OBJECT = "!!python/object/apply:os.system ['touch owned']\n"


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "bomb", [ANCHORS, SELF, MERGES, DEEP, DIGITS, OBJECT, "a: 1\n" * 1_000_000]
)
def test_yaml_bombs_in_the_command_line(tmp_path: Path, bomb: str) -> None:
    path = tmp_path / "bomb.yaml"
    path.write_text(bomb)
    before = time.monotonic()
    done = CliRunner().invoke(app, ["simulate", str(path)])
    assert done.exit_code == 1 and isinstance(done.exception, SystemExit)
    assert time.monotonic() - before < 30
    assert len(done.output) < 2000
    assert not Path("owned").exists()


# -- annotations -----------------------------------------------------------------------------------


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "text",
    [
        "[" * 60_000,
        '{"a":' * 10_000,
        "9" * 60_000,
        '{"epochs": ' + "9" * 4_000 + ', "loss": 1}',
        "[" + ",".join(['{"epochs": 1, "loss": 1}'] * 2_000) + "]",
        "x" * 10_000_000,
    ],
)
def test_annotations_that_are_made_to_be_costly(text: str) -> None:
    read: Any = parse_metrics(text, "loss", "epochs")
    assert read.error is None or len(read.error) <= 1000
