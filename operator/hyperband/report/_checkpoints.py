"""Checkpoints that neither a crash nor a ghost can spoil.

Each is written beside its place and renamed into it, under a name that no other attempt uses:
`<resource>-<attempt>.ckpt`. So what is there is complete, and an older attempt that is still alive
on a lost node (a ghost) never writes to a file of the newer one, nor deletes one.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from pathlib import Path
from typing import NamedTuple

from hyperband.report import _environment as environment
from hyperband.report._log import say

LOCAL_DIR = "checkpoints"
KEEP = 2  # the newest, and the one before in case that training finds the newest spoilt
_NAME = re.compile(r"(?P<resource>\d.*)-(?P<attempt>\d+)(\.[A-Za-z][\w.]*)?")
_PARTIAL = re.compile(r"\.partial-(?P<attempt>\d+)-.*")
_said: set[Path] = set()


class _Checkpoint(NamedTuple):
    """Sorted from oldest to newest: by resource, then by attempt."""

    resource: float
    attempt: int
    path: Path


def checkpoint_dir() -> Path:
    """The trial's own folder for checkpoints, the same for all its attempts; it is made if needed.

    In a run by hand: `checkpoints` in the current folder. In a study without a checkpoint volume:
    a temporary folder, which is lost with the pod.
    """
    environment.entered()
    given = os.environ.get(environment.ENV_CHECKPOINT_DIR)
    if given:
        path = Path(given)
    elif environment.ENV_POD_NAME in os.environ:
        path = Path(tempfile.gettempdir(), "hyperband-checkpoints")
        _say_once(path, "the study has no spec.checkpoint: checkpoints are lost with the pod")
    else:
        path = Path(LOCAL_DIR).absolute()
        _say_once(path, f"not in a trial's pod: checkpoints are in {path}")
    path.mkdir(parents=True, exist_ok=True)
    return path


def resume_from() -> Path | None:
    """The newest complete checkpoint of this trial that leaves something to train, or None.

    Its resource may be beyond HYPERBAND_RESOURCE_FROM; save it inside the checkpoint too. One that
    has reached HYPERBAND_RESOURCE_TO is passed over: its attempt was ended between its checkpoint
    and its report, and going on from there would train nothing and report nothing.
    """
    target = environment.resource_target(inf)
    folder = checkpoint_dir()
    found = [saved for saved in _complete(folder) if saved.resource < target]
    if not found:
        return None
    path = found[-1].path
    if environment.ENV_POD_NAME not in os.environ:  # perhaps of another configuration
        _say_once(path, f"goes on from {path}: delete {folder} to start anew")
    return path


@contextmanager
def checkpoint(resource: float, suffix: str = ".ckpt") -> Iterator[Path]:
    """Saves a checkpoint: `with checkpoint(epoch) as path: torch.save(state, path)`.

    Yields a path where nothing is yet; make a file or a folder there. If the block raises, or the
    machine dies, earlier checkpoints are untouched. Older checkpoints of this attempt and of
    earlier ones are deleted, but for the newest two.

    Args:
        resource: what training has spent so far, e.g. epochs.
        suffix: of the file's name; numpy.savez adds ".npz" to any other.

    Raises:
        ValueError: the resource is not a finite number from 0 up, or the suffix is none.
        FileNotFoundError: the block wrote nothing to the path.
        OSError: the volume is full, read-only or away.
    """
    folder, attempt = checkpoint_dir(), environment.attempt()
    final = folder / f"{_text(resource)}-{attempt}{suffix}"
    if _NAME.fullmatch(final.name) is None or final.parent != folder:
        raise ValueError(
            f"{suffix!r} cannot end the name of a checkpoint: write a dot and letters, as .ckpt"
        )
    partial = Path(tempfile.mkdtemp(prefix=f".partial-{attempt}-", dir=folder))
    try:
        path = partial / final.name
        yield path
        if not path.exists():
            there = ", ".join(entry.name for entry in partial.iterdir()) or "nothing"
            raise FileNotFoundError(
                f"the checkpoint was not written to {path}, there is {there}: write to the path "
                f"that checkpoint() yields, or pass the suffix that your library adds"
            )
        _sync(path)
        if final.is_dir() or (path.is_dir() and final.exists()):  # a rename replaces only files
            final.rename(partial / "replaced")
        path.replace(final)
        _sync_entry(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    _prune(folder, attempt)


def resource_of(path: Path) -> float:
    """What training had spent when it saved a checkpoint that `resume_from` has given."""
    match = _NAME.fullmatch(path.name)
    assert match is not None, path
    return float(match["resource"])


def _complete(folder: Path) -> list[_Checkpoint]:
    """The folder's checkpoints from oldest to newest; other files are not ours."""
    found = []
    for path in folder.iterdir():
        match = _NAME.fullmatch(path.name)
        if match is None:
            continue
        try:
            resource = float(match["resource"])
        except ValueError:
            continue
        found.append(_Checkpoint(resource, int(match["attempt"]), path))
    return sorted(found)


def _prune(folder: Path, attempt: int) -> None:
    """Deletes what is superseded, and what earlier attempts left unfinished.

    The newest of this attempt stay even where a ghost's are further: ours was just written.
    """
    found = _complete(folder)
    own = [each for each in found if each.attempt == attempt]
    kept = {*found[-KEEP:], *own[-KEEP:]}
    for each in found:
        if each.attempt <= attempt and each not in kept:
            _delete(each.path)
    for path in folder.iterdir():
        match = _PARTIAL.fullmatch(path.name)
        if match is not None and int(match["attempt"]) < attempt:
            _delete(path)


def _delete(path: Path) -> None:
    """Deletes a file or a folder; a ghost may have been faster."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _text(resource: float) -> str:
    """3 and 3.0 alike are "3"."""
    try:
        number = float(resource)
    except OverflowError:
        number = inf
    if not 0 <= number < inf:
        raise ValueError(
            f"checkpoint() was given {number} as the resource: it is what training has spent so "
            "far, a finite number from 0 up"
        )
    return str(int(number)) if number.is_integer() and number < 1e16 else repr(number)


def _sync(path: Path) -> None:
    """Brings a file, or all files of a folder, to the disk: a rename may get there before them."""
    for entry in path.rglob("*") if path.is_dir() else ():
        _sync_entry(entry)
    _sync_entry(path)


def _sync_entry(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:  # folders cannot be opened everywhere
        return
    try:
        os.fsync(descriptor)
    except OSError:  # some network file systems do not sync folders
        pass
    finally:
        os.close(descriptor)


def _say_once(path: Path, message: str) -> None:
    if path not in _said:
        _said.add(path)
        say(message)
