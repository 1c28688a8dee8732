"""The file that `hyperband init` writes: a study with the comments that its reader will want."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hyperband.api.text import flow
from hyperband.core.errors import InvalidStudyError
from hyperband.core.records import Resource
from hyperband.core.rungs import geometric_levels
from hyperband.core.space import environment_suffix

ETA = 3


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for."""

    name: str
    image: str
    command: Sequence[str]
    metric: str
    goal: str
    resource: str
    minimum: int
    maximum: int
    parameters: Sequence[Mapping[str, Any]]
    gpus: int
    trials: int
    parallelism: int
    claim: str | None  # of a volume for checkpoints
    mode: str


def study_text(wanted: Wanted, file: str) -> str:
    """The study as a file.

    Args:
        file: its name, for the commands in its comments.
    """
    parameters = "\n".join(f"    - {flow(each)}" for each in wanted.parameters)
    objective = {"metric": wanted.metric, "goal": wanted.goal}
    resource = {"name": wanted.resource, "min": wanted.minimum, "max": wanted.maximum}
    limits = f"\n          resources: {{limits: {{nvidia.com/gpu: {wanted.gpus}}}}}"
    return f"""\
#     hyperband validate {file}                      # all that is wrong with it
#     hyperband preview {file} --unit-seconds 60     # rungs, trials and GPU-hours to expect
#     hyperband run {file}          # on this machine
#     hyperband submit {file}       # on a cluster; as kubectl apply -f {file} does
#     kubectl apply -f manifests/namespace/reporter.yaml   # before that, once in each namespace
#
# All fields: kubectl explain --recursive hyperbandstudy.spec
apiVersion: hyperband.dev/v1alpha1
kind: HyperbandStudy
metadata:
  name: {flow(wanted.name)}
spec:
  # Both by the names that the training reports: report({_example(wanted)}).
  objective: {flow(objective)}
  # min: the least that tells a good trial from a bad one. max: a full training.
  resource: {flow(resource)}
{_mode(wanted)}
  searcher: {{type: Random}}   # or GaussianProcess, KernelDensity, Evolution, which learn

  # The training is given them as HYPERBAND_PARAMETERS (JSON), and each by itself,
  # as {_variable(wanted)}; hyperband.report.parameters() reads them.
  parameters:
{parameters}

  maxTrials: {wanted.trials}     # configurations
  parallelism: {wanted.parallelism}    # pods at a time
  # budget: {{gpuHours: 40, duration: 12h}}   # the study ends when either is spent
{_checkpoint(wanted)}
  # A pod as any other.
  trialTemplate:
    spec:
      containers:
        - name: train
          image: {flow(wanted.image)}
          command: {flow(list(wanted.command))}{limits if wanted.gpus else ""}
"""


def _example(wanted: Wanted) -> str:
    given = f"{wanted.resource}={wanted.minimum}, {wanted.metric}=0.21"
    words = [wanted.resource, wanted.metric]
    if all(word.isidentifier() for word in words):
        return given
    return f'**{{"{wanted.resource}": {wanted.minimum}, "{wanted.metric}": 0.21}}'.replace(
        "\n", " "
    )


def _variable(wanted: Wanted) -> str:
    name = str(wanted.parameters[0]["name"]) if wanted.parameters else "NAME"
    return f"HYPERBAND_PARAM_{environment_suffix(name)}"


def _mode(wanted: Wanted) -> str:
    told = {
        "Promotion": "Promotion: a trial's pod ends at each rung, and the best go on later from "
        "their\n  # checkpoints.",
        "Stopping": "Stopping: trials train on, and a rung ends those that are not good enough. "
        "With a\n  # checkpoint, Promotion gives their GPUs back in between.",
    }
    comment = f"  # {told[wanted.mode]}\n" if wanted.mode in told else ""
    hyperband = {"mode": wanted.mode, "eta": ETA}
    return f"{comment}  hyperband: {flow(hyperband)}{_rungs(wanted)}"


def _rungs(wanted: Wanted) -> str:
    resource = Resource(wanted.resource, wanted.minimum, wanted.maximum, integer=True)
    try:
        levels = [f"{level:g}" for level in geometric_levels(resource, float(ETA))]
    except InvalidStudyError:
        return ""
    if wanted.mode == "None" or len(levels) < 2:
        return ""
    return f"   # rungs at {', '.join(levels[:-1])} and {levels[-1]} {flow(wanted.resource)}"


def _checkpoint(wanted: Wanted) -> str:
    if wanted.claim is None:
        return """
  # Where an attempt finds what the one before it has learned, if its pod was taken away, or ended
  # at a rung. Without it such a trial begins anew.
  # checkpoint: {volume: {persistentVolumeClaim: {claimName: scratch}}}   # ReadWriteMany
"""
    volume = {"persistentVolumeClaim": {"claimName": wanted.claim}}
    return f"""
  # Where an attempt finds what the one before it has learned. The claim is ReadWriteMany.
  checkpoint: {flow({"volume": volume})}
"""
