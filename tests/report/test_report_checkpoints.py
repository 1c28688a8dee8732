"""Checkpoints: complete or not there, whatever crashes and whoever is still alive."""

import math
import os
import signal
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from hyperband.report import checkpoint, checkpoint_dir, resume_from

SOURCE = Path(__file__).parents[2] / "operator"


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("HYPERBAND_CHECKPOINT_DIR", str(tmp_path / "a/b"))
    return tmp_path / "a/b"


def save(resource: float, attempt: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYPERBAND_ATTEMPT", str(attempt))
    with checkpoint(resource) as path:
        path.write_text(f"{resource} of {attempt}")


def listing(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_the_newest_is_found_and_two_are_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert resume_from() is None
    for epoch in (1, 2, 9, 10.0, 0.5):
        save(epoch, 0, monkeypatch)
        assert not [name for name in listing(folder) if name.startswith(".")]
    assert listing(folder) == ["10-0.ckpt", "9-0.ckpt"]
    assert resume_from() == folder / "10-0.ckpt"


def test_ties_go_to_the_later_attempt(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(3, 9, monkeypatch)
    save(3, 10, monkeypatch)
    assert resume_from() == folder / "3-10.ckpt"


def test_other_files_are_left_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint_dir()
    for name in ("notes-2024.txt", "best.ckpt", "5.ckpt", "1.2.3-4.ckpt", "9-0.ckpt~"):
        (folder / name).touch()
    save(3, 0, monkeypatch)
    assert resume_from() == folder / "3-0.ckpt"
    assert len(listing(folder)) == 6


def test_a_block_that_raises_leaves_the_old_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(1, 0, monkeypatch)
    with pytest.raises(OSError, match="disk full"), checkpoint(2) as path:
        path.write_text("half")
        raise OSError("disk full")
    assert listing(folder) == ["1-0.ckpt"]


def test_a_crash_between_write_and_rename_leaves_the_old_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(1, 0, monkeypatch)
    script = """
import os, signal
from hyperband.report import checkpoint
with checkpoint(2) as path:
    path.write_text("written, not renamed")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "PYTHONDONTWRITEBYTECODE": "1"}
    killed = subprocess.run([sys.executable, "-S", "-c", script], env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert resume_from() == folder / "1-0.ckpt" and len(listing(folder)) == 2
    save(2, 1, monkeypatch)  # the next attempt cleans up
    assert listing(folder) == ["1-0.ckpt", "2-1.ckpt"]


def test_a_ghost_harms_neither_what_the_newer_attempt_has_nor_what_it_is_writing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(3, 1, monkeypatch)
    save(4, 2, monkeypatch)
    save(5, 2, monkeypatch)
    monkeypatch.setenv("HYPERBAND_ATTEMPT", "2")
    with checkpoint(6) as path:
        path.write_text("6 of 2")
        for epoch in (4, 5, 6, 7, 8):
            save(epoch, 1, monkeypatch)
        assert {"4-2.ckpt", "5-2.ckpt"} <= set(listing(folder))
        monkeypatch.setenv("HYPERBAND_ATTEMPT", "2")
    # The ghost's are further, and complete: a later attempt may well go on from there.
    assert listing(folder) == ["5-2.ckpt", "6-2.ckpt", "7-1.ckpt", "8-1.ckpt"]


def test_folders_are_checkpoints_too(folder: Path) -> None:
    for text in ("first", "second"):
        with checkpoint(1, suffix="") as path:
            path.mkdir()
            (path / "model").write_text(text)
    found = resume_from()
    assert found == folder / "1-0" and (found / "model").read_text() == "second"
    assert listing(folder) == ["1-0"]


def test_a_name_that_the_library_has_changed_is_explained() -> None:
    with (
        pytest.raises(FileNotFoundError, match=r"there is 1-0.ckpt.npz: .* pass the suffix"),
        checkpoint(1) as path,
    ):
        path.with_name(path.name + ".npz").touch()


def test_without_a_volume(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("HYPERBAND_CHECKPOINT_DIR")
    assert checkpoint_dir() == checkpoint_dir() == tmp_path / "checkpoints"
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    monkeypatch.setenv("HYPERBAND_POD_NAME", "digits-0-0")
    assert checkpoint_dir() == tmp_path / "tmp/hyperband-checkpoints"
    laptop, pod = capsys.readouterr().err.splitlines()
    assert str(tmp_path / "checkpoints") in laptop and "no spec.checkpoint" in pod


def test_a_checkpoint_at_the_target_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The attempt before was ended between its checkpoint and its report."""
    monkeypatch.setenv("HYPERBAND_CHECKPOINT_DIR", str(tmp_path))
    for epoch in (2, 3):
        with checkpoint(epoch) as path:
            path.write_text(str(epoch))
    monkeypatch.setenv("HYPERBAND_RESOURCE_TO", "3")
    below = resume_from()
    monkeypatch.setenv("HYPERBAND_RESOURCE_TO", "9")
    newest = resume_from()
    assert below is not None and below.read_text() == "2"
    assert newest is not None and newest.read_text() == "3"


@pytest.mark.parametrize("resource", [-1, math.nan, math.inf, 10**400, Fraction(10**400)])
def test_a_resource_that_none_can_have_is_refused(folder: Path, resource: Any) -> None:
    with pytest.raises(ValueError, match="a finite number from 0 up"), checkpoint(resource):
        pass
    assert listing(folder) == []


@pytest.mark.parametrize("suffix", ["ckpt", ".7z", "/../x", ".a/b", "~", ".é/"])
def test_a_suffix_with_which_it_would_not_be_found_is_refused(folder: Path, suffix: str) -> None:
    with pytest.raises(ValueError, match=r"write a dot and letters"), checkpoint(1, suffix):
        pass
    assert listing(folder) == []


def test_a_resource_of_many_digits_fits_into_a_name() -> None:
    with checkpoint(1e300) as path:
        path.write_text("far")
    found = resume_from()
    assert found is not None and found.name == "1e+300-0.ckpt"


def test_a_folder_takes_the_place_of_a_file_and_back(folder: Path) -> None:
    with checkpoint(1) as path:
        path.write_text("file")
    with checkpoint(1) as path:
        path.mkdir()
        (path / "model").write_text("folder")
    assert (folder / "1-0.ckpt" / "model").read_text() == "folder"
    with checkpoint(1) as path:
        path.write_text("file again")
    assert (folder / "1-0.ckpt").read_text() == "file again"
    assert listing(folder) == ["1-0.ckpt"]
