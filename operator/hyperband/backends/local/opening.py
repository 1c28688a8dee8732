"""A run and its folder: begun, held against other runners, gone on with, and planned."""

import fcntl
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from hyperband.api import names
from hyperband.api.study import StudyResource, parse_study
from hyperband.api.times import in_seconds
from hyperband.api.words import counted
from hyperband.backends.local import gpus as gpu_list
from hyperband.backends.local import training
from hyperband.backends.local.runner import Plan
from hyperband.backends.local.store import Store, is_begun
from hyperband.core.errors import InvalidStudyError

LOCK_SECONDS = 2.0  # within which a runner that was just killed lets go
# Trials of before and after a change of these would not be comparable.
FIXED = (
    *("objective", "resource", "hyperband", "searcher"),
    *("parameters", "initialParameters", "resume"),
)


class RunError(Exception):
    """What cannot be done on this machine, or in this folder; the message has the mend."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the person asks for, beside the study.

    Attributes:
        command: what trains, as a shell would split it; None: the template's, or the run's.
        gpus: how many to use; None: all.
        parallelism: trials at a time; None: the study's, one a processor.
        resume: whether a run in the folder is gone on with, or a new one begun.
    """

    command: str | None = None
    gpus: int | None = None
    parallelism: int | None = None
    resume: bool = False


@contextmanager
def opened(folder: Path, body: Mapping[str, Any], options: Options) -> Iterator[Store]:
    """The run in a folder, kept from other runners within the block.

    Args:
        body: the study, in which nothing is wrong.

    Raises:
        RunError: there is none to go on with, or one where a new one is to begin; another runner
            works there; or this is no Linux.
        StoreError, InvalidStudyError, training.BadCommandError: it cannot be run.
        OSError: the folder cannot be made.
    """
    if sys.platform != "linux":
        raise RunError("needs Linux, which ends processes with others: use a virtual machine")
    if body["spec"].get("suspend"):
        raise InvalidStudyError("spec.suspend", "true would let nothing start: remove it")
    if options.resume and not is_begun(folder):
        mend = "leave --resume out to begin one, or name its folder with --dir"
        raise RunError(f"{folder} has no run: {mend}")
    folder.mkdir(parents=True, exist_ok=True)
    held = _hold(folder)
    try:
        store = _gone_on(folder, body, options) if options.resume else _begun(folder, body, options)
        try:
            yield store
        finally:
            store.close()
    finally:
        os.close(held)


def _hold(folder: Path) -> int:
    """Keeps other runners away from the folder until this process ends."""
    lock = os.open(folder / "run.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC)
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                os.close(lock)
                mend = "wait for its end, or name another folder with --dir"
                raise RunError(f"another hyperband run works in {folder}: {mend}") from error
            time.sleep(0.05)


def _begun(folder: Path, body: Mapping[str, Any], options: Options) -> Store:
    """A new run."""
    if is_begun(folder):
        mend = "--resume goes on with it, --dir names another folder"
        raise RunError(f"{folder} holds a run already: {mend}")
    metadata = {
        "namespace": "default",
        **body["metadata"],
        "uid": str(uuid4()),
        "generation": 1,
        "creationTimestamp": in_seconds(datetime.now(UTC)),
    }
    settings = {"command": options.command, "cwd": str(Path.cwd())}
    plan(folder, settings, parse_study(body), options)  # told of before anything is made
    return Store.create(folder, {**body, "metadata": metadata, "status": {}}, settings)


def _gone_on(folder: Path, body: Mapping[str, Any], options: Options) -> Store:
    """The run that is there, with what may have changed in its study."""
    store = Store.open(folder)
    kept = store.read()
    for field in FIXED:
        if kept.study["spec"].get(field) != body["spec"].get(field):
            store.close()
            raise InvalidStudyError(
                f"spec.{field}",
                f"is not as it was when the run in {folder} began, and its trials would not be "
                "comparable: begin another run with --dir, or change it back",
            )
    changed = kept.study["spec"] != body["spec"]
    metadata = dict(kept.study["metadata"])
    metadata["generation"] += changed
    store.write_study({**kept.study, "spec": body["spec"], "metadata": metadata}, kept.elapsed)
    if options.command is not None:
        store.write_options({**kept.options, "command": options.command})
    return store


def plan(
    folder: Path, kept: Mapping[str, Any], resource: StudyResource, options: Options
) -> tuple[Plan, StudyResource]:
    """How trainings run here, and the study with what fits here as its parallelism.

    Args:
        kept: the options of the run.

    Raises:
        InvalidStudyError, training.BadCommandError: they cannot.
    """
    command = training.command(resource, kept["command"])
    for problem in training.unfit(resource, command):
        raise training.BadCommandError(problem)
    cwd = Path(kept["cwd"])
    if shutil.which(command[0], path=os.environ.get("PATH")) is None and not (
        "/" in command[0] and os.access(cwd / command[0], os.X_OK)
    ):
        mend = "give what trains on this machine with --command"
        raise training.BadCommandError(f"{command[0]} is no program here: {mend}")
    listed = gpu_list.list_devices if resource.gpus else list
    devices = gpu_list.devices(options.gpus, os.environ.get(training.VISIBLE), listed)
    slots = training.slots(resource, devices, options.parallelism, os.cpu_count() or 1)
    study = replace(resource.study, parallelism=slots.parallelism)
    # Inside of another trial, its parameters are none of ours.
    others = names.ENV_PARAMETER_PREFIX
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(others)}
    made = Plan(folder, cwd, command, inherited, slots)
    return made, replace(resource, study=study)


def differences(resource: StudyResource, plan: Plan) -> list[str]:
    """What a cluster would have done otherwise, in words."""
    notes = []
    if resource.gpus and not plan.slots.devices:
        notes.append(
            f"a trial asks for {counted(resource.gpus, 'GPU')} and there is none here: trials run "
            "without, and use no GPU-hours"
        )
    if resource.warm_start:
        named = ", ".join(resource.warm_start)
        notes.append(f"warmStart.fromStudies: {named}: its trials are in a cluster; left out")
    missing = [each for each in training.from_elsewhere(resource) if each not in plan.inherited]
    if missing:
        notes.append(f"{', '.join(missing)}: the value is in a cluster; set it in your shell")
    return notes
