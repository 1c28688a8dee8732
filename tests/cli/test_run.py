"""`hyperband run`: what a person types and sees, with real processes."""

import fcntl
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from hyperband.backends.local import keeper
from hyperband.backends.local.attempts import LOCK
from hyperband.backends.local.store import FILE, Store, read_run
from hyperband.cli.main import app
from tests.local import runs

ROOT = Path(__file__).parents[2]
PYTHON_TRAINING = """
from hyperband.report import checkpoint, parameters, report, resource_target, resume_from

x = parameters()["x"]
saved = resume_from()
epoch = int(saved.read_text()) if saved else 0
while epoch < resource_target():
    epoch += 1
    with checkpoint(epoch) as path:
        path.write_text(str(epoch))
    report(epochs=epoch, loss=x / epoch, accuracy=x)
"""
WAITING = """
echo "$HYPERBAND_TRIAL $HYPERBAND_ATTEMPT" >> started
while [ ! -e go ]; do sleep 0.02; done
""" + runs.TRAINING.replace('>> "$NOTES/started"', "")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a study in toy.yaml."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "operator"))
    write(runs.study(runs.TRAINING.replace("$NOTES/", "")))
    return tmp_path


def write(body: dict[str, object]) -> None:
    metadata = {"name": "toy"}
    text = yaml.safe_dump({**body, "metadata": metadata})
    Path("toy.yaml").write_text(text, encoding="utf-8")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["run", "toy.yaml", *arguments])


def uid(folder: Path) -> str:
    """Of the run in toy.run."""
    found: str = read_run(folder / "toy.run")[0]["metadata"]["uid"]
    return found


@pytest.fixture
def begun(folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """A run in a process of its own, whose first two trainings have begun and wait."""
    write(runs.study(WAITING, maxTrials=4))
    process = subprocess.Popen(
        [sys.executable, "-m", "hyperband.cli", "run", "toy.yaml", "--parallelism", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "NOTES": "."},
    )
    runs.wait_for(lambda: Path("started").exists() and len(runs.started(folder)) == 2)
    yield process
    process.kill()
    process.communicate()


def test_a_study_runs_and_tells_the_best(folder: Path) -> None:
    ended = run("--parallelism", "2")
    assert ended.exit_code == 0, ended.output
    assert "toy: 9/9 trials" in ended.stdout
    assert "Exhausted: all 9 trials are decided" in ended.stdout
    assert "Best: loss 0.0896" in ended.stdout
    again = run()
    assert again.exit_code == 2
    assert "toy.run holds a run already: --resume goes on with it" in again.stderr
    shown = run("--resume")
    assert (shown.exit_code, "Best: loss 0.0896" in shown.stdout) == (0, True)


def test_python_trainings_report_as_in_a_pod(folder: Path) -> None:
    Path("train.py").write_text(PYTHON_TRAINING, encoding="utf-8")
    write(runs.study(maxTrials=3, reporting={"mode": "Manual"}, hyperband={"mode": "None"}))
    ended = run("--command", f"{sys.executable} train.py", "--dir", "elsewhere")
    assert ended.exit_code == 0, ended.output
    study, trials = read_run(folder / "elsewhere")
    assert study["status"]["best"]["resource"] == 9
    curves = [[point["resource"] for point in each["status"]["curve"]] for each in trials]
    assert curves == [[1, 2, 3, 4, 5, 6, 7, 8, 9]] * 3
    said = "".join(path.read_text() for path in folder.glob("elsewhere/trials/*/*/log.txt"))
    assert said == ""


def test_the_shell_sample_runs(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    rows = [
        [16 if column % 10 == i // 5 % 10 else i * column % 9 for column in range(64)]
        for i in range(40)
    ]
    lines = [",".join(map(str, [*row, i // 5 % 10])) for i, row in enumerate(rows)]
    (folder / "digits.csv").write_text("\n".join(lines) + "\n")
    sample = ROOT / "manifests/samples/shell.yaml"
    script = f"env DIGITS={folder / 'digits.csv'} sh {ROOT / 'examples/shell/train.sh'}"
    options = ["--command", script, "--gpus", "4", "--dir", str(folder / "shell")]
    ended = CliRunner().invoke(app, ["run", str(sample), *options])
    assert ended.exit_code == 0, ended.output
    study, trials = read_run(folder / "shell")
    assert study["status"]["trials"]["total"] == 12
    assert study["status"]["gpuSeconds"] > 0
    assert all(each["status"].get("rungs") for each in trials)
    logs = "".join(path.read_text() for path in folder.glob("shell/trials/*/attempt-*/log.txt"))
    assert "resumed from epoch 1" in logs


def test_ctrl_c_says_how_to_go_on(folder: Path, begun: "subprocess.Popen[str]") -> None:
    begun.send_signal(signal.SIGINT)
    out, err = begun.communicate(timeout=30)
    assert (begun.returncode, err) == (130, "")
    assert "interrupted: 2 of 4 trials are kept in" in out
    assert "to go on: hyperband run toy.yaml --resume" in out
    assert "suspended: interrupted; --resume goes on" in out
    assert runs.processes(uid(folder)) == []
    Path("go").touch()
    ended = run("--resume")
    assert ended.exit_code == 0, ended.output
    assert set(runs.started(folder).values()) == {1}
    assert "4/4 trials" in ended.stdout


def test_after_kill_9_it_goes_on(folder: Path, begun: "subprocess.Popen[str]") -> None:
    begun.kill()
    begun.wait()
    runs.wait_for(lambda: not runs.processes(uid(folder)))
    Path("go").touch()
    ended = run("--resume", "--parallelism", "2")
    assert ended.exit_code == 0, ended.output
    assert set(runs.started(folder).values()) == {1}
    with closing(sqlite3.connect(folder / "toy.run" / FILE)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_only_one_runs_in_a_folder(begun: "subprocess.Popen[str]") -> None:
    ended = run("--resume")
    assert ended.exit_code == 2
    assert "another hyperband run works in" in ended.stderr
    assert begun.poll() is None


def test_the_timeout_has_its_own_exit_code() -> None:
    write(runs.study(WAITING, maxTrials=1))
    ended = run("--timeout", "0.5")
    assert ended.exit_code == 3
    assert "interrupted after 0.5 s: " in ended.stdout
    Path("go").touch()
    assert run("--resume").exit_code == 0


def test_a_file_that_is_no_study_is_told_of_in_a_line(folder: Path) -> None:
    (folder / "train.py").write_text("print(1)\nx: [")
    ended = CliRunner().invoke(app, ["run", "train.py"])
    assert ended.exit_code == 2 and ended.stderr.count("\n") == 1
    assert "train.py:2: is not YAML, " in ended.stderr and "mend the line" in ended.stderr


def test_a_failed_study_names_the_log(folder: Path) -> None:
    policy = {"retries": 0, "maxFailedTrials": 0}
    write(runs.study("echo no data; exit 3", failurePolicy=policy, parallelism=1))
    ended = run()
    assert ended.exit_code == 1
    assert "TooManyFailedTrials" in ended.stdout
    log = folder / "toy.run/trials/0/attempt-0/log.txt"
    assert str(log) in ended.stdout
    assert log.read_text() == "no data\n"


def test_a_study_may_be_changed_between_runs() -> None:
    write(runs.study(WAITING, maxTrials=2))
    assert run("--timeout", "0.5").exit_code == 3
    Path("go").touch()
    write(runs.study(WAITING, maxTrials=3))
    ended = run("--resume")
    assert ended.exit_code == 0
    assert "3/3 trials" in ended.stdout


def test_what_makes_trials_comparable_may_not_be_changed() -> None:
    write(runs.study(WAITING, maxTrials=2))
    assert run("--timeout", "0.2").exit_code == 3
    write(runs.study(WAITING, maxTrials=2, searcher={"type": "Random", "seed": 1}))
    ended = run("--resume")
    assert ended.exit_code == 2
    assert "spec.searcher: is not as it was" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--resume"], "toy.run has no run: leave --resume out to begin one"),
        (["--command", "no-such-program"], "no-such-program is no program here: give what trains"),
        (["--command", ""], "--command is empty"),
    ],
)
def test_what_cannot_be_is_told(arguments: list[str], said: str) -> None:
    ended = run(*arguments)
    assert ended.exit_code == 2
    assert said in ended.stderr
    assert not Path("toy.run", FILE).exists()


def test_a_bad_study_is_told() -> None:
    write(runs.study(maxTrials=0, parallelism=0))
    ended = run()
    assert ended.exit_code == 2
    assert "toy.yaml: spec.maxTrials" in ended.stderr.replace("spec.parallelism", "spec.maxTrials")
    assert "hyperband validate toy.yaml tells all 2" in ended.stderr
    assert not Path("toy.run").exists()


def test_a_suspended_study_is_told() -> None:
    write(runs.study(suspend=True))
    ended = run()
    assert ended.exit_code == 2
    assert "spec.suspend: true would let nothing start: remove it" in ended.stderr
    assert not Path("toy.run").exists()


def test_a_trial_that_does_not_fit_is_told_before_anything_is_made() -> None:
    body = runs.study(maxTrials=1)
    container = body["spec"]["trialTemplate"]["spec"]["containers"][0]
    container["resources"] = {"limits": {"nvidia.com/gpu": 2}}
    write(body)
    ended = run("--gpus", "1")
    assert ended.exit_code == 2
    assert "a trial asks for 2 GPUs, and 1 can be used here" in ended.stderr
    assert not Path("toy.run", FILE).exists()


def test_what_a_cluster_would_do_otherwise_is_told() -> None:
    body = runs.study(runs.TRAINING.replace("$NOTES/", ""), maxTrials=1)
    container = body["spec"]["trialTemplate"]["spec"]["containers"][0]
    container["resources"] = {"limits": {"nvidia.com/gpu": 1}}
    container["env"] = [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]
    write(body)
    ended = run("--gpus", "0")
    assert ended.exit_code == 0
    assert "asks for 1 GPU and there is none here" in ended.stderr
    assert "KEY: the value is in a cluster; set it in your shell" in ended.stderr


def verb(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--dir", "toy.run"])


def test_other_verbs_read_the_run() -> None:
    assert run("--parallelism", "2").exit_code == 0
    told = verb("explain", "toy-0")
    assert (told.exit_code, told.stderr) == (0, "")
    assert "toy-0 of study toy: Completed" in told.stdout
    assert "rank 1 of" in told.stdout
    rows = verb("export", "toy").stdout.splitlines()
    assert len(rows) == 10
    assert rows[1].startswith("0,toy-0,2,Completed,Random,0.0896")
    best = verb("best", "toy", "-o", "env").stdout
    assert "export HYPERBAND_PARAM_X=0.0896" in best
    drawn = verb("plot", "toy", "timeline")
    assert (drawn.exit_code, drawn.stderr) == (0, "")
    assert "toy: pods on slots of nodes" in drawn.stdout
    assert re.search(r"none of \d+ pods was disrupted", drawn.stdout)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("export", "digits"), "toy.run is a run of study toy, not of 'digits'"),
        (("explain", "toy-7"), "study toy has no trial 'toy-7'"),
    ],
)
def test_what_a_run_does_not_have_is_told(arguments: tuple[str, ...], said: str) -> None:
    write(runs.study(runs.TRAINING.replace("$NOTES/", ""), maxTrials=1))
    assert run().exit_code == 0
    ended = verb(*arguments)
    assert ended.exit_code == (1 if "explain" in arguments else 2)
    assert said in ended.stderr


def test_a_folder_without_a_run_is_told() -> None:
    ended = verb("export", "toy")
    assert ended.exit_code == 2
    assert "toy.run has no run: name the --dir of a run" in ended.stderr


def test_a_damaged_run_hides_no_others() -> None:
    for name in ("good", "bad"):
        Path(name).mkdir()
        Store.create(Path(name), runs.study(), {}).close()
    whole = Path("bad", FILE).read_bytes()
    Path("bad", FILE).write_bytes(whole[:5000])
    ended = CliRunner().invoke(app, ["list", "--dir", "."])
    assert ended.exit_code == 0
    assert "toy" in ended.stdout and "bad/study.db is no run of a study" in ended.stderr


def test_a_run_is_listed_described_and_compared(folder: Path) -> None:
    write(runs.study("echo hello; " + runs.TRAINING.replace("$NOTES/", "")))
    assert run().exit_code == 0
    listed = json.loads(verb("list", "-o", "json").stdout)
    assert [(each["name"], each["status"], each["trials"]) for each in listed] == [
        ("toy", "Exhausted", 9)
    ]
    above = CliRunner().invoke(app, ["list", "--dir", "."])
    words = above.stdout.splitlines()[1].split()
    assert words[0] == "toy" and re.fullmatch("[0-9]+[sm]", words[-1])  # its age
    described = verb("describe", "toy").stdout
    assert "9 of 9, 2 at a time" in described
    assert "Minimize loss" in described
    assert "best: loss" in described
    compared = json.loads(verb("compare", "toy", "toy", "-o", "json").stdout)
    assert [each["name"] for each in compared["studies"]] == ["toy"]
    other = verb("compare", "toy", "other")
    assert other.exit_code == 2
    assert "toy.run has no run of study 'other': it has toy" in other.stderr
    none = CliRunner().invoke(app, ["list", "--dir", "toy.run/trials"])
    assert none.exit_code == 2
    assert "toy.run/trials has no run of hyperband run: name the folder of a run" in none.stderr


def test_the_log_of_a_training_is_shown(folder: Path) -> None:
    write(runs.study("echo $HYPERBAND_ATTEMPT; " + runs.TRAINING.replace("$NOTES/", "")))
    assert run().exit_code == 0
    best = json.loads(verb("best", "toy", "-o", "json").stdout)["trial"]
    last = verb("logs", best, "--follow")  # it is over: there is nothing to wait for
    assert (last.exit_code, last.stdout) == (0, "2\n"), last.stderr
    assert verb("logs", best, "--attempt", "0").stdout == "0\n"
    for words, said in (
        (("toy-0", "--attempt", "7"), "trial toy-0 has no attempt 7"),
        (("toy-99",), "study toy has no trial 'toy-99': of 9"),
        (("toy-0", "-c", "main"), "--container main: a run on a machine has none"),
    ):
        refused = verb("logs", *words)
        assert refused.exit_code != 0
        assert said in refused.stderr


def test_a_log_is_followed_until_its_keeper_is_gone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(runs.study("echo first; " + runs.TRAINING.replace("$NOTES/", "")))
    assert run().exit_code == 0
    attempt = Path("toy.run/trials/0/attempt-0")
    lock = os.open(attempt / LOCK, os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)

    def killed(_: float) -> None:  # it has said nothing of the training's end
        with (attempt / keeper.LOG).open("a") as log:
            log.write("last\n")
        os.close(lock)

    (attempt / keeper.ENDED).unlink()
    monkeypatch.setattr(time, "sleep", killed)
    shown = verb("logs", "toy-0", "--attempt", "0", "--follow")
    assert (shown.exit_code, shown.stdout) == (0, "first\nlast\n"), shown.stderr


def test_what_is_told_of_a_trial_knows_of_no_pods(folder: Path) -> None:
    assert run().exit_code == 0
    story = verb("explain", "toy-0").stdout
    assert "attempt 0: process on " in story
    assert "paused: its process ends at the rung" in story
    assert "pod" not in story
