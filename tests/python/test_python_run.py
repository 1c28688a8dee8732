"""`Study.run` with real processes, and what is read of a run: frames, figures, a view of it."""

import asyncio
import builtins
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hyperband import Float, MissingPackageError, Study, StudyError
from hyperband.python import laptop
from tests.local import runs

ROOT = Path(__file__).parents[2]
PNG = b"\x89PNG"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("NOTES", ".")
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "operator"))
    return tmp_path


def toy(script: str = runs.TRAINING, **spec: Any) -> Study:
    body = runs.study(script, **spec)
    return Study.from_dict({**body, "metadata": {"name": "toy"}})


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study that has been run."""
    folder = tmp_path_factory.mktemp("finished")
    os.environ["NOTES"] = str(folder)
    return toy(maxTrials=4).run(dir=folder / "run", progress=False)


def test_a_study_is_run_and_read(finished: Study) -> None:
    assert finished.finished
    trials, values, curves = finished.trials(), finished.values(), finished.curves()
    assert list(trials["trial"]) == ["toy-0", "toy-1", "toy-2", "toy-3"]
    best = finished.best
    assert best is not None
    assert best.value == best.parameters["x"] == trials["parameters.x"].min()
    assert set(trials["state"]) <= {"Completed", "Paused"}
    assert list(values["sequence"]) == sorted(values["sequence"])
    assert values["value"].equals(values["parameters.x"].rename("value"))
    top = curves[curves["trial"] == best.trial]
    assert list(top["resource"]) == list(range(1, 10))
    assert best.trial in finished._repr_html_()


def test_a_run_is_read_from_its_folder_too(finished: Study) -> None:
    source = str(finished).partition("run in ")[2].rstrip(">")
    again = Study.from_run(source)
    assert again.best == finished.best and again.trials().equals(finished.trials())


@pytest.mark.parametrize("kind", ["curves", "best", "parallel", "rungs", "timeline"])
def test_a_plot_is_a_figure_that_a_notebook_shows(finished: Study, kind: str) -> None:
    figure = finished.plot(kind)
    assert figure._repr_png_().startswith(PNG)
    assert figure.axes


def test_a_plot_that_there_is_not_is_told(finished: Study) -> None:
    with pytest.raises(ValueError, match="'curve' is not one of curves, best, "):
        finished.plot("curve")


def test_it_runs_inside_of_a_notebook_s_loop(capsys: pytest.CaptureFixture[str]) -> None:
    async def cell() -> Study:
        return toy(maxTrials=1).run()

    study = asyncio.run(cell())
    assert study.best is not None
    told = capsys.readouterr().out.splitlines()
    assert told[-1].startswith("toy: ") and "best loss" in told[-1]


def test_a_run_that_is_interrupted_goes_on(folder: Path) -> None:
    waits = 'while [ ! -e "$NOTES/go" ]; do sleep 0.02; done\n' + runs.TRAINING
    study = toy(waits, maxTrials=2)
    with pytest.raises(TimeoutError, match=r"interrupted after 1 s: run\(resume=True\) goes on"):
        study.run(timeout=1, progress=False)
    assert not study.finished and study.best is None
    (folder / "go").touch()
    assert study.run(resume=True, progress=False).finished
    with pytest.raises(StudyError, match="holds a run already: resume=True goes on with it"):
        study.run()


def test_how_it_stands_is_told_without_its_trials(
    finished: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A notebook asks often, and ten thousand of them take a second."""
    monkeypatch.delattr(laptop, "read_run")
    assert finished.finished and finished.best is not None
    assert "Exhausted" in finished._repr_html_()


def test_a_study_that_may_not_run_in_a_folder_reads_nothing_of_what_is_there(
    finished: Study,
) -> None:
    source = str(finished).partition("run in ")[2].rstrip(">")
    other = toy(maxTrials=9)
    with pytest.raises(StudyError, match="holds a run already"):
        other.run(dir=source)
    resource = {"name": "epochs", "min": 1, "max": 27}
    with pytest.raises(StudyError, match=r"spec\.resource: is not as it was .* run by dir=…"):
        toy(resource=resource).run(dir=source, resume=True)
    with pytest.raises(StudyError, match="was neither run nor submitted"):
        other.trials()


def test_ctrl_c_ends_what_runs_and_then_the_run(folder: Path) -> None:
    waits = 'touch "$NOTES/waits"; while [ ! -e "$NOTES/go" ]; do sleep 0.02; done\n'
    study = toy(waits + runs.TRAINING, maxTrials=1)

    def press() -> None:
        runs.wait_for((folder / "waits").exists)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        study.run(progress=False)
    thread.join()
    assert list(study.trials()["state"]) == ["Pending"] and not study.finished
    (folder / "go").touch()
    assert study.run(resume=True, progress=False).finished


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda s: s.trials(), r"neither run nor submitted: call run\(\) or submit\(\)"),
        (lambda s: s.suspend(), r"is on no cluster: call submit\(\)"),
        (lambda s: s.run(resume=True), "has no run: leave resume=True out"),
        (lambda s: toy(suspend=True).run(), "spec.suspend: true would let nothing start"),
        (lambda s: s.run(command="no-such-program"), "no-such-program is no program here"),
        (lambda s: Study.from_run("nothing"), "nothing has no run"),
    ],
)
def test_what_cannot_be_is_told(ask: Callable[[Study], Any], said: str) -> None:
    study = toy()
    with pytest.raises(StudyError, match=said):
        ask(study)
    assert study.status == {} and study.best is None


def test_a_study_of_this_machine_has_no_verbs_of_a_cluster(finished: Study) -> None:
    with pytest.raises(StudyError, match="run on this machine, not on a cluster: Ctrl-C"):
        finished.stop()


def test_gpus_that_are_missing_are_told(folder: Path) -> None:
    study = Study(
        "toy",
        metric="loss",
        resource=("epochs", 1, 9),
        parameters=[Float("x", 0, 1)],
        max_trials=1,
        image="t",
        command=["sh", "-euc", runs.TRAINING],
        gpus=1,
    )
    with pytest.warns(UserWarning, match="asks for 1 GPU and there is none here"):
        study.run(gpus=0, progress=False)


@pytest.mark.parametrize(("package", "ask"), [("pandas", Study.trials), ("matplotlib", Study.plot)])
def test_a_package_that_is_missing_is_told(
    package: str,
    ask: Callable[[Study], Any],
    finished: Study,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.partition(".")[0] == package:
            raise ImportError(name)
        return there(name, *rest)

    for name in [each for each in sys.modules if each.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingPackageError, match=f"{package} is not installed: pip install"):
        ask(finished)
