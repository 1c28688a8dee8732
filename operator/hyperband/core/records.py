"""Frozen records of a study and its trials; everything that can be derived from them is derived.

A `Study` says what the user asked for, a `Trial` what has happened to one configuration. The
engine is a function of these records alone, so a restarted operator that reads them back decides
as if it had never been away.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from hyperband.core.parameters import Value

if TYPE_CHECKING:  # it loads scipy, for which whoever reads a record alone does not wait
    from hyperband.core.space import Space


class Goal(StrEnum):
    """Whether the objective is to be small or large."""

    MINIMIZE = "Minimize"
    MAXIMIZE = "Maximize"


class TrialState(StrEnum):
    """Where a trial stands. The last three are final."""

    PENDING = "Pending"  # an attempt is due; its pod does not run yet
    RUNNING = "Running"
    PAUSED = "Paused"  # has reached its target below r_max and waits to be promoted
    STOPPED = "Stopped"  # not good enough at a rung
    COMPLETED = "Completed"  # has a value at r_max
    FAILED = "Failed"

    @property
    def active(self) -> bool:
        """Whether the trial holds one of the study's slots."""
        return self in (TrialState.PENDING, TrialState.RUNNING)


class Sizes(StrEnum):
    """How many configurations Hyperband's brackets start with."""

    FLOOR = "Floor"  # ⌊⌊K/(s+1)⌋·η^s⌋: for r_max = 81 and η = 3 these are 81, 27, 9, 6, 5
    PAPER = "Paper"  # ⌈K/(s+1)·η^s⌉, as in arXiv 1603.06560: 81, 34, 15, 8, 5


@dataclass(frozen=True, slots=True)
class Objective:
    """The metric to optimize, as the training reports it."""

    metric: str
    goal: Goal = Goal.MINIMIZE

    def loss(self, value: float) -> float:
        """The value with its sign set so that smaller is better."""
        return value if self.goal is Goal.MINIMIZE else -value


@dataclass(frozen=True, slots=True)
class Resource:
    """What training spends, e.g. epochs or steps: from `min` (r_min) to `max` (r_max)."""

    name: str
    min: float
    max: float
    integer: bool = True

    def amount(self, of_it: float) -> str:
        """So much of it, in words."""
        return f"{self.name} {of_it:g}" if of_it < 1e6 else f"{self.name} {of_it:.0f}"


@dataclass(frozen=True, slots=True)
class FailurePolicy:
    """How many failed attempts a trial is forgiven, and how many failed trials a study."""

    retries: int = 3
    max_failed_trials: int = 10


class OnBudget(StrEnum):
    """What becomes of the running trials of a study whose budget is spent."""

    FINISH = "Finish"  # they end by themselves, at their next rung or at r_max
    STOP = "Stop"


@dataclass(frozen=True, slots=True)
class Budget:
    """What a study may spend in all; None is no bound. How many trials: `Study.max_trials`."""

    gpu_seconds: float | None = None
    seconds: float | None = None
    resource_units: float | None = None
    on_budget: OnBudget = OnBudget.FINISH


@dataclass(frozen=True, slots=True)
class Spent:
    """What a study has spent so far, what runs included."""

    gpu_seconds: float = 0.0  # GPUs times seconds, over all pods
    seconds: float = 0.0  # since its start, without the time for which it was suspended
    resource_units: float = 0.0
    # In words, the bound of this very budget that was found reached before: final accounts may turn
    # out a little lower than what was counted while pods ran.
    reached: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """A value of a metric that ends the study as soon as a trial reports it or a better one."""

    metric: str
    goal: Goal
    value: float

    def met(self, value: float) -> bool:
        return value <= self.value if self.goal is Goal.MINIMIZE else value >= self.value


@dataclass(frozen=True, slots=True)
class EarlierTrial:
    """What a trial of an earlier study has shown; this one's searcher starts warm from it."""

    study: str
    parameters: Mapping[str, Value]
    values: tuple[tuple[float, float], ...]  # (resource, objective as reported), ascending


@dataclass(frozen=True, slots=True)
class SearcherOptions:
    """Settings of searchers; each names the searchers that it is for."""

    # All: whether draws from the prior follow a scrambled Sobol sequence; None: the searcher's way.
    quasi_random: bool | None = None
    resource_model: str = "ExponentialDecay"  # GaussianProcess: one of hyperband.core.gp.resources
    good_fraction: float = 0.15  # KernelDensity: of a level's values, the good ones, in (0, 1)
    random_fraction: float = 1 / 3  # KernelDensity: proposals drawn from the prior, in [0, 1]
    population: int | None = None  # Evolution: P, at least 2; None: by maxTrials
    tournament: int | None = None  # Evolution: S, from 1 to P; None: by P


@dataclass(frozen=True, slots=True)
class Study:
    """What the user asked for. `seed` is always set: the caller derives an unset one."""

    name: str
    objective: Objective
    resource: Resource
    space: "Space"
    max_trials: int
    seed: int
    parallelism: int = 1
    eta: float = 3.0
    mode: str = "Promotion"  # a name in hyperband.core.schedulers.SCHEDULERS
    brackets: int = 1
    sizes: Sizes = Sizes.FLOOR
    searcher: str = "Random"  # a name in hyperband.core.searchers.SEARCHERS
    options: SearcherOptions = field(default_factory=SearcherOptions)
    initial: tuple[Mapping[str, Value], ...] = ()  # tried first; what is missing is sampled
    earlier: tuple[EarlierTrial, ...] = ()  # trials of the studies to start warm from
    failure_policy: FailurePolicy = field(default_factory=FailurePolicy)
    budget: Budget = field(default_factory=Budget)
    targets: tuple[Target, ...] = ()  # the study ends when a trial meets any of them
    resume: bool = True  # False: promoted trials start from scratch
    stop: bool = False  # a person has ended the study

    @property
    def stops_early(self) -> bool:
        """Whether trials are compared at rungs below r_max at all."""
        return self.mode != "None"


@dataclass(frozen=True, slots=True)
class RungValue:
    """The objective at one rung level: the first report at or above it, never overwritten."""

    level: int  # index into the study's ladder
    value: float  # the objective, as reported
    sequence: int  # study-wide order of recording, from 0
    resource: float  # the resource of the report it was taken from, at least the level's


@dataclass(frozen=True, slots=True)
class Fit:
    """A surrogate's hyperparameters, kept with the suggestions that were made from them."""

    values: int  # how many recorded values it was fitted to: the first ones by sequence number
    hyperparameters: tuple[float, ...]  # in the order and on the scale of the surrogate's own
    failures: int = 0  # how many trials had failed when it was made; not recorded
    error: str = ""  # why it could not be made and is its own start; not recorded


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A configuration and why it was chosen."""

    parameters: Mapping[str, Value]
    origin: str  # the searcher that made it; Initial or Earlier if it was given
    detail: Mapping[str, float] = field(default_factory=dict)  # what the searcher knew, by name
    fit: Fit | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """One configuration and all that decisions need to know of its life."""

    index: int
    suggestion: Suggestion
    bracket: int  # s: it has s + 1 levels
    state: TrialState
    target: int  # ladder index at which the current or next attempt ends
    attempt: int = 0  # number of the current or last attempt
    rungs: tuple[RungValue, ...] = ()  # in ascending level
    failures: int = 0  # attempts that counted against failurePolicy.retries
    disruptions: int = 0  # attempts that were taken away and did not count
    reason: str = ""  # a hyperband.core.decisions.Reason
    message: str = ""

    @property
    def parameters(self) -> Mapping[str, Value]:
        return self.suggestion.parameters

    @property
    def level(self) -> int | None:
        """The highest level that has a value, or None."""
        return self.rungs[-1].level if self.rungs else None


@dataclass(frozen=True, slots=True)
class Report:
    """One report of a training: the resource spent so far and its metrics."""

    resource: float
    value: float  # the objective; may be NaN or infinite when training diverged
    metrics: Mapping[str, float] = field(default_factory=dict)
