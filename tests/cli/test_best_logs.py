"""`hyperband best` in all its forms, and `hyperband logs`."""

import json
import subprocess
from typing import Any

import pytest
import yaml

from hyperband.api import names
from hyperband.backends.kubernetes.objects import PODS
from tests.cli.fake_server import Server, call, serve, world

STRANGE = "a b'c$(HOME)\n`x`"
CHECKPOINT = {"volume": {"persistentVolumeClaim": {"claimName": "c"}}, "mountPath": "/ck"}


@pytest.fixture
def finished(monkeypatch: pytest.MonkeyPatch) -> Server:
    parameters = [
        {"name": "x", "type": "Float", "min": 0, "max": 1},
        {"name": "strange-name", "type": "Constant", "value": STRANGE},
    ]
    return serve(monkeypatch, world(parameters=parameters, checkpoint=CHECKPOINT))


def test_the_best_is_shown_and_written(finished: Server) -> None:
    best = finished.study["status"]["best"]
    text = call("best", "s").stdout
    assert f"loss {best['text']} at 3 epochs, trial {best['trial']}" in text
    for read, form in ((json.loads, "json"), (yaml.safe_load, "yaml")):
        assert read(call("best", "s", "-o", form).stdout) == {
            key: best[key] for key in ("trial", "value", "resource", "parameters")
        }


def test_a_shell_reads_the_environment_as_the_training_is_given_it(finished: Server) -> None:
    lines = call("best", "s", "-o", "env").stdout
    script = lines + 'printf "%s|%s" "$HYPERBAND_PARAM_STRANGE_NAME" "$HYPERBAND_RESOURCE_TO"'
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == f"{STRANGE}|3"
    assert "HYPERBAND_TRIAL=" not in lines


@pytest.mark.parametrize("kind", ["pod", "job"])
def test_a_manifest_trains_the_best_in_full(kind: str, finished: Server) -> None:
    made = yaml.safe_load(call("best", "s", "--manifest", kind).stdout)
    assert made["kind"].lower() == kind
    assert made["metadata"] == {"name": "s-best", "namespace": "team"}
    spec = made["spec"] if kind == "pod" else made["spec"]["template"]["spec"]
    assert spec["restartPolicy"] == "Never"
    (container,) = spec["containers"]
    env = {each["name"]: each["value"] for each in container["env"]}
    best = finished.study["status"]["best"]["parameters"]
    assert json.loads(env[names.ENV_PARAMETERS].replace("$$", "$")) == best
    assert env[names.ENV_RESOURCE_FROM] == "0"
    assert env[names.ENV_RESOURCE_TO] == "3"
    assert "$$(HOME)" in env["HYPERBAND_PARAM_STRANGE_NAME"]
    assert container["volumeMounts"] == [{"name": names.CHECKPOINT_VOLUME, "mountPath": "/ck"}]
    assert env[names.ENV_CHECKPOINT_DIR].startswith("/ck/team/s-")
    # Nothing by which the operator, or a reporter, would take it for a trial's pod.
    assert names.STUDY_LABEL not in json.dumps(made)
    assert names.ENV_POD_NAME not in env
    assert names.ENV_ATTEMPT not in env


def test_no_result_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, world(steps=1))
    none = call("best", "s")
    assert none.exit_code == 1
    assert "study s has no result yet" in none.stderr


def test_a_manifest_is_no_table(finished: Server) -> None:
    ended = call("best", "s", "--manifest", "pod", "-o", "env")
    assert ended.exit_code == 2
    assert "--manifest is an object, no env: use -o yaml or json" in ended.stderr
    assert not finished.asked


def test_the_log_is_of_the_last_pod_or_of_the_attempt_that_is_named(finished: Server) -> None:
    best: dict[str, Any] = finished.study["status"]["best"]
    trial = best["trial"]
    finished.logs = {f"{trial}-0": b"first\n", f"{trial}-1": b"second \x1b[31m\n"}
    assert call("logs", trial).stdout_bytes == b"second \x1b[31m\n"  # a pipe gets all bytes
    assert call("logs", trial, "--attempt", "0").stdout == "first\n"


def test_the_log_of_a_trial_that_waits_for_its_next_pod_is_of_the_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = serve(monkeypatch, world(steps=3))
    server.objects.pop((PODS.plural, "s-1-1"), None)
    server.logs = {"s-1-0": b"before\n"}
    assert call("logs", "s-1").stdout == "before\n"


def test_a_pod_that_is_gone_is_told_of(finished: Server) -> None:
    trial = finished.study["status"]["best"]["trial"]
    for pod in finished.world.client.bodies(PODS):
        finished.objects.pop((PODS.plural, pod["metadata"]["name"]))
    gone = call("logs", trial)
    assert gone.exit_code == 1
    assert f"the pod of attempt 1 of trial {trial} is gone" in gone.stderr
    assert "spec.retention" in gone.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("s-99",), 1, "study s has no trial 99: there are 4 trials"),
        (("s",), 2, "is no trial's name"),
        (("nosuch-1",), 1, "there is no study 'nosuch'"),
        (("s-0", "--attempt", "7"), 1, "trial s-0 has no attempt 7"),
    ],
)
def test_what_is_not_there(words: tuple[str, ...], code: int, said: str, finished: Server) -> None:
    result = call("logs", *words)
    assert result.exit_code == code
    assert said in result.stderr


def test_a_pod_of_others_with_the_name_is_not_shown(finished: Server) -> None:
    trial = finished.study["status"]["best"]["trial"]
    finished.logs = {f"{trial}-1": b"not ours"}
    for pod in finished.world.client.bodies(PODS):
        pod["metadata"]["ownerReferences"][0]["uid"] = "another"
    assert call("logs", trial).exit_code == 1
