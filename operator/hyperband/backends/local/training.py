"""What a training is given here: command, environment and GPUs, as its pod would. Pure."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from hyperband.api import names
from hyperband.api.environment import training_environment
from hyperband.api.study import StudyResource
from hyperband.api.words import counted
from hyperband.core.errors import InvalidStudyError, printable
from hyperband.core.records import Trial
from hyperband.core.rungs import Ladder

GRACE_SECONDS = 30.0  # Kubernetes' default
VISIBLE = "CUDA_VISIBLE_DEVICES"
RUN_VARIABLE = "HYPERBAND_RUN"  # tells processes of a run, whoever has started them
_REFERENCE = re.compile(r"\$\$|\$\(([^()]+)\)")


class BadCommandError(Exception):
    """Nothing to run, or nothing that can be; the message has the mend."""


@dataclass(frozen=True, slots=True)
class Paths:
    """Where an attempt's files are."""

    attempt: Path
    checkpoints: Path

    @property
    def reports(self) -> Path:
        return self.attempt / "metrics.jsonl"


def paths(folder: Path, study: StudyResource, trial: Trial, attempt: int) -> Paths:
    """Checkpoints are the same for every attempt; without resume, for every promotion."""
    own = folder / "trials" / str(trial.index)
    checkpoints = own / "checkpoints"
    if not study.study.resume:
        checkpoints /= f"rung-{trial.target}"
    return Paths(own / f"attempt-{attempt}", checkpoints)


def container(study: StudyResource) -> Mapping[str, Any]:
    """The container that trains."""
    found: Mapping[str, Any] = study.template.spec["containers"][study.template.container]
    return found


def command(study: StudyResource, given: str | None) -> list[str]:
    """The program and its arguments, references not yet replaced.

    Args:
        given: instead of the template's command and args, as a shell would split it.

    Raises:
        BadCommandError: there is none.
    """
    if given is not None:
        try:
            words = shlex.split(given)
        except ValueError as error:
            raise BadCommandError(f"--command {given}: {error}: close what is quoted") from error
        if not words:
            raise BadCommandError("--command is empty: write a program and its arguments")
        return words
    own = container(study)
    if not _texts(own.get("command")):
        raise BadCommandError(
            f"container {own['name']} has no command, only its image's, which does not run here: "
            "give --command 'python3 train.py'"
        )
    return [*_texts(own.get("command")), *_texts(own.get("args"))]


def _texts(given: Any) -> list[str]:
    return [str(each) for each in given] if isinstance(given, list) else []


def environment(
    study: StudyResource,
    trial: Trial,
    ladder: Ladder,
    uid: str,
    where: Paths,
) -> dict[str, str]:
    """What its container would have, with this machine's paths in it."""
    variables = training_environment(study, trial, ladder, uid)
    variables |= {
        names.ENV_REPORT_FILE: str(where.reports),
        names.ENV_CHECKPOINT_DIR: str(where.checkpoints),
        names.ENV_POD_NAME: names.pod_name(study.name, trial.index, trial.attempt),
        names.ENV_POD_NAMESPACE: study.namespace,
        RUN_VARIABLE: run_mark(study.uid, trial.index, trial.attempt),
    }
    for each in _variables(study):
        if "value" in each:
            variables[str(each["name"])] = expand(str(each["value"] or ""), variables)
    return variables


def run_mark(uid: str, index: int, attempt: int) -> str:
    """What marks the processes of an attempt."""
    return f"{uid}/{index}/{attempt}"


def _variables(study: StudyResource) -> Iterator[Mapping[str, Any]]:
    given = container(study).get("env")
    for each in given if isinstance(given, list) else []:
        if isinstance(each, Mapping) and "name" in each:
            yield each


def unfit(study: StudyResource, command: Sequence[str]) -> Iterator[str]:
    """What no process can be given, in words."""
    for each in _variables(study):
        name, value = str(each["name"]), str(each.get("value") or "")
        if not name or "=" in name or "\0" in name + value:
            yield f"{printable(repr(name))} can be no environment variable, or has a NUL: rename it"
    for word in command:
        if "\0" in word:
            yield f"the command's {printable(repr(word))} has a NUL: remove it"


def from_elsewhere(study: StudyResource) -> list[str]:
    """Variables whose values only a cluster has."""
    return [str(each["name"]) for each in _variables(study) if "valueFrom" in each]


def expand(text: str, variables: Mapping[str, str]) -> str:
    """$(NAME) replaced as Kubernetes does: what is not known stays, $$ is a plain $."""

    def replaced(found: re.Match[str]) -> str:
        return "$" if found[1] is None else variables.get(found[1], found[0])

    return _REFERENCE.sub(replaced, text)


def grace_seconds(study: StudyResource) -> float:
    """Between SIGTERM and SIGKILL."""
    given = study.template.spec.get("terminationGracePeriodSeconds")
    return float(given) if isinstance(given, int) else GRACE_SECONDS


def deadline_seconds(study: StudyResource) -> float | None:
    """How long an attempt may take, if its template says so."""
    given = study.template.spec.get("activeDeadlineSeconds")
    return float(given) if isinstance(given, int) and given > 0 else None


@dataclass(frozen=True, slots=True)
class Slots:
    """How many trials run at a time, and on what.

    Attributes:
        devices: what CUDA_VISIBLE_DEVICES may name; none: it is left alone.
        each: devices of one trial.
        parallelism: trials at a time.
    """

    devices: tuple[str, ...]
    each: int
    parallelism: int


def slots(
    study: StudyResource, devices: Sequence[str], parallelism: int | None, processors: int
) -> Slots:
    """What fits onto this machine.

    Args:
        parallelism: as the person asks; None: the study's, but no more than there are processors.

    Raises:
        InvalidStudyError: no trial fits.
    """
    wanted = parallelism or min(study.study.parallelism, processors)
    each = ceil(study.gpus)
    if not devices or not each:
        return Slots((), 0, wanted)
    if each > len(devices):
        raise InvalidStudyError(
            "spec.trialTemplate",
            f"a trial asks for {counted(each, 'GPU')}, and {len(devices)} can be used here: ask "
            "for fewer, or run without any by --gpus 0",
        )
    return Slots(tuple(devices), each, min(wanted, len(devices) // each))
