"""What a training is given, and what fits onto a machine."""

import re
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hyperband.api.study import StudyResource, parse_study
from hyperband.backends.kubernetes.render import render_pod
from hyperband.backends.local import gpus, training
from hyperband.backends.local.store import FILE, Store, StoreError, read_run
from hyperband.core.engine import Engine
from hyperband.core.errors import InvalidStudyError
from hyperband.core.records import Trial
from tests.local import runs


def parsed(container: dict[str, Any] | None = None, **spec: Any) -> StudyResource:
    body = runs.study(**spec)
    body["spec"]["trialTemplate"]["spec"]["containers"][0] |= container or {}
    return parse_study(body)


def first(study: StudyResource) -> tuple[Engine, Trial]:
    engine = Engine(study.study)
    decision = engine.launch()
    assert decision is not None
    return engine, decision.trial


@pytest.mark.parametrize("mode", ["Direct", "Sidecar"])
def test_a_process_has_the_variables_of_a_pod(mode: str) -> None:
    study = parsed(
        reporting={"mode": mode},
        checkpoint={"volume": {"hostPath": {"path": "/c"}}, "mountPath": "/c"},
    )
    engine, trial = first(study)
    where = training.paths(Path("/run"), study, trial, 0)
    own = training.environment(study, trial, engine.ladder, "uid-of-trial", where)
    pod = render_pod(study, trial, "uid-of-trial", engine.ladder)
    there = {each["name"]: each.get("value") for each in pod["spec"]["containers"][0]["env"]}
    extra = {"HYPERBAND_REPORT_FILE", training.RUN_VARIABLE}
    assert set(own) == set(there) | extra
    elsewhere = {"HYPERBAND_CHECKPOINT_DIR", "HYPERBAND_POD_NAME", "HYPERBAND_POD_NAMESPACE"}
    same = set(there) - elsewhere - extra
    assert {name: own[name] for name in same} == {name: there[name] for name in same}
    assert own["HYPERBAND_POD_NAME"] == "toy-0-0"
    assert own["HYPERBAND_CHECKPOINT_DIR"] == "/run/trials/0/checkpoints"
    assert own["HYPERBAND_REPORT_FILE"] == "/run/trials/0/attempt-0/metrics.jsonl"


def test_own_variables_may_refer_to_ours() -> None:
    env = [
        {"name": "RATE", "value": "x=$(HYPERBAND_PARAM_X)"},
        {"name": "NONE"},
        {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
    ]
    study = parsed({"env": env})
    engine, trial = first(study)
    where = training.paths(Path("/run"), study, trial, 0)
    own = training.environment(study, trial, engine.ladder, "uid-of-trial", where)
    assert own["RATE"] == f"x={own['HYPERBAND_PARAM_X']}"
    assert "SECRET" not in own
    assert training.from_elsewhere(study) == ["SECRET"]


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("--rate=$(RATE)", "--rate=0.5"),
        ("$$(RATE)", "$(RATE)"),
        ("$(OTHER) $RATE $", "$(OTHER) $RATE $"),
        ("$(RATE)$(RATE)", "0.50.5"),
        ("$$$$(RATE", "$$(RATE"),
    ],
)
def test_references_are_replaced_as_kubernetes_does(text: str, expanded: str) -> None:
    assert training.expand(text, {"RATE": "0.5"}) == expanded


def test_the_command_is_the_template_s_or_the_person_s() -> None:
    study = parsed({"command": ["python3", "train.py"], "args": ["--rate", 1]})
    assert training.command(study, None) == ["python3", "train.py", "--rate", "1"]
    assert training.command(study, "sh -c 'a b'") == ["sh", "-c", "a b"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("", "--command is empty: write a program"),
        ("sh -c 'a", "close what is quoted"),
        (None, "has no command, only its image's.*give --command"),
    ],
)
def test_what_cannot_be_run_is_told(given: str | None, said: str) -> None:
    with pytest.raises(training.BadCommandError, match=said):
        training.command(parsed({"command": []}), given)


@pytest.mark.parametrize(
    ("container", "said"),
    [
        ({"env": [{"name": "A=B", "value": "x"}]}, "'A=B' can be no environment variable"),
        ({"env": [{"name": "", "value": "x"}]}, "'' can be no environment variable"),
        ({"env": [{"name": "A", "value": "x\0"}]}, "'A' .* has a NUL"),
        ({"args": ["x\0y"]}, r"the command's 'x\\x00y' has a NUL"),
        ({"env": [{"name": "A"}, {"name": "B", "value": None}]}, None),
    ],
)
def test_what_no_process_can_be_given_is_told(container: dict[str, Any], said: str | None) -> None:
    study = parsed(container)
    found = list(training.unfit(study, training.command(study, None)))
    assert len(found) == (said is not None)
    assert said is None or re.match(said, found[0])


@pytest.mark.parametrize(
    ("wanted", "visible", "found"),
    [
        (None, None, ("0", "1")),
        (3, None, ("0", "1", "2")),
        (0, None, ()),
        (None, "2, 3", ("2", "3")),
        (1, "2,3", ("2",)),
        (None, "", ()),
        (None, "-1", ()),  # none, as CUDA has it
        (None, "3,-1,2", ("3",)),
        (None, "1,1,GPU-a b", ("1", "GPU-a b")),
        (None, "NoDevFiles", ()),
    ],
)
def test_gpus_are_asked_for_visible_or_listed(
    wanted: int | None, visible: str | None, found: tuple[str, ...]
) -> None:
    assert gpus.devices(wanted, visible, lambda: ["0", "1"]) == found


def test_nvidia_smi_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 0\necho 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert gpus.list_devices() == ["0", "1"]
    program.write_text("#!/bin/sh\necho no driver\nexit 9\n")
    assert gpus.list_devices() == []
    monkeypatch.setenv("PATH", "/nowhere")
    assert gpus.list_devices() == []


def with_gpus(count: int, parallelism: int) -> StudyResource:
    limits = {"resources": {"limits": {"nvidia.com/gpu": count}}}
    study = parsed(limits)
    return replace(study, study=replace(study.study, parallelism=parallelism))


@pytest.mark.parametrize(
    ("each", "devices", "asked", "parallelism"),
    [
        (1, "0123", None, 4),
        (2, "01234", None, 2),
        (1, "0123", 3, 3),
        (0, "0123", None, 6),  # so many processors
        (0, "", 20, 20),
        (1, "", None, 6),
    ],
)
def test_as_many_trials_run_as_fit(
    each: int, devices: str, asked: int | None, parallelism: int
) -> None:
    found = training.slots(with_gpus(each, 8), tuple(devices), asked, processors=6)
    assert found.parallelism == parallelism


def test_a_trial_that_does_not_fit_is_told() -> None:
    with pytest.raises(InvalidStudyError, match="asks for 4 GPUs, and 2 can be used here"):
        training.slots(with_gpus(4, 8), ("0", "1"), None, processors=6)


def test_a_run_of_another_version_is_told(tmp_path: Path) -> None:
    Store.create(tmp_path, runs.study(), {}).close()
    newer = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('PRAGMA user_version = 99')"
    subprocess.run(["python3", "-c", newer, str(tmp_path / FILE)], check=True)
    with pytest.raises(StoreError, match="has schema version 99, not 1: use the hyperband"):
        Store.open(tmp_path)


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE trials SET body = '{'",
        "UPDATE trials SET body = '[]'",
        "UPDATE trials SET body = '{\"metadata\": {}}'",
        "DROP TABLE trials",
        "DELETE FROM run",
        "UPDATE run SET study = 'null'",
        "UPDATE run SET study = '{\"spec\": {}}'",
    ],
)
def test_a_run_that_makes_no_sense_is_told(tmp_path: Path, edit: str) -> None:
    runs.finish(tmp_path, runs.study(maxTrials=1))
    read_run(tmp_path)
    with closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
        connection.execute(edit)
    with pytest.raises(StoreError, match=r"study.db is damaged, or has been edited \("):
        read_run(tmp_path)


def test_what_is_no_run_is_told(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("a diary " * 200)
    with pytest.raises(StoreError, match=r"is no run of a study \(file is not a database\)"):
        Store.open(tmp_path)
    with pytest.raises(StoreError, match="cannot be made"):
        Store.create(tmp_path, runs.study(), {})
