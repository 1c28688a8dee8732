"""Polyaxon's `hptuning`: a polyaxonfile of version 0 with `kind: group`."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from hyperband.api import names
from hyperband.cli.converting import study
from hyperband.cli.converting.matrix import matrix_parameter
from hyperband.cli.converting.polyaxon_pod import pod_template
from hyperband.cli.converting.source import Converted, Notes, Section
from hyperband.cli.converting.spaces import Parameter, constant, scalar, tidy
from hyperband.cli.converting.study import GOALS, Search
from hyperband.core.errors import InvalidStudyError
from hyperband.core.parameters import show
from hyperband.core.records import Goal, Sizes

ORIGIN = "Polyaxon, kind: group"
_NEWER = (
    "is of Polyaxon 1: write it as the matrix, early_stopping and search of version 0, which "
    "`hyperband convert` reads (docs/how-to/converting.md)"
)


def is_polyaxon(content: Mapping[str, Any]) -> bool:
    """Whether it is a polyaxonfile with a search in it, or the part of one."""
    settings = content.get("settings")
    old = isinstance(settings, Mapping) and "matrix" in settings
    return old or "hptuning" in content or content.get("kind") in ("group", "operation")


@dataclass(slots=True)
class _Study:
    """What is gathered from the file."""

    root: Section
    tuning: Section
    notes: Notes = field(default_factory=Notes)
    metric: str = ""
    goal: Goal = Goal.MINIMIZE
    resume: bool = False
    targets: list[dict[str, Any]] = field(default_factory=list)
    failed: float | None = None  # which part of the trials may fail

    def take_metric(self, section: Section) -> None:
        """What the search optimizes."""
        given = section.section("metric")
        self.metric = str(given.need("name", "name the metric that the training reports"))
        self.goal = given.choice("optimization", GOALS, Goal.MINIMIZE)


def convert_polyaxon(content: Mapping[str, Any], name: str) -> Converted:
    """A study from a polyaxonfile.

    Args:
        name: of the study if the file has none.

    Raises:
        InvalidStudyError: it is not as Polyaxon has it; the field is that of the file.
    """
    root = Section(content, "")
    if "hptuning" not in content and "settings" not in content:
        raise InvalidStudyError("matrix" if "matrix" in content else "kind", _NEWER)
    made = _Study(root, root.section("hptuning" if "hptuning" in content else "settings"))
    for known in ("version", "kind"):
        root.get(known)
    metadata = {"name": _name(made, name)}
    _early_stopping(made)
    algorithm, search = _search(made)
    parameters = _parameters(made, search.resource["name"])
    spec = _spec(made, algorithm, search, parameters)
    root.tell_rest(made.notes)
    made.tuning.tell_rest(made.notes)
    body = {
        "apiVersion": names.API_VERSION,
        "kind": names.STUDY_KIND,
        "metadata": metadata,
        "spec": spec,
    }
    return Converted(ORIGIN, body, made.notes.found)


def _name(made: _Study, otherwise: str) -> str:
    project = made.root.get("project")
    if isinstance(project, Mapping):
        project = project.get("name")
    own = made.root.get("name")
    given = own or (str(project).rpartition("/")[2] if project else "")
    if not given:
        return study.study_name(otherwise, "name", Notes())
    return study.study_name(given, "name" if own else "project", made.notes)


def _early_stopping(made: _Study) -> None:
    for each in made.tuning.sections("early_stopping"):
        kind = str(each.get("kind") or "metric_early_stopping")
        if kind == "failure_early_stopping":
            percent = each.number("percent", 0)
            made.failed = None if percent is None else percent / 100
        elif kind == "metric_early_stopping":
            made.targets.append(study.target(each, "metric", "optimization", "value"))
        else:
            told = f"{show(kind)} is not known: use metric_early_stopping"
            raise InvalidStudyError(each.field("kind"), told)
        each.tell_rest(
            made.notes,
            lambda key: (
                f"stops single trials by a {key}: the rungs of Hyperband do that here, by eta"
                if key == "policy"
                else "has no counterpart and is left out"
            ),
        )


def _search(made: _Study) -> tuple[str, Search]:
    """What searches, and with what."""
    found = [name for name in _SEARCHES if name in made.tuning]
    if len(found) > 1:
        told = f"is there beside {found[0]}: keep one of them"
        raise InvalidStudyError(made.tuning.field(found[1]), told)
    # Polyaxon takes a grid where nothing is said.
    algorithm = found[0] if found else "grid_search"
    section = made.tuning.section(algorithm)
    search = _SEARCHES[algorithm](made, section)
    section.tell_rest(made.notes)
    seed = section.whole("seed")
    seed = made.tuning.whole("seed") if seed is None else seed
    if seed is not None:
        told = "keeps our own draws the same from run to run, not those that Polyaxon made"
        made.notes.add(made.tuning.field("seed"), told)
        search = Search(
            search.resource, search.hyperband, {**search.searcher, "seed": seed}, search.trials
        )
    return algorithm, search


def _hyperband(made: _Study, section: Section) -> Search:
    key = next(
        (key for key in ("max_iterations", "max_iter") if section.get(key) is not None), "max_iter"
    )
    section.need(key, "give the resource of a full training, such as 81")
    section.need("metric", "give its name, and optimization: minimize or maximize")
    given = section.section("resource")
    name = str(given.need("name", "name what training spends, such as num_steps"))
    whole = given.choice("type", {"int": True, "float": False}, True)
    maximum, eta = section.number(key, 1), section.number("eta", 2) or 3.0
    made.take_metric(section)
    made.resume = bool(section.get("resume"))
    if made.resume:
        made.notes.add(
            section.field("resume"),
            "needs a volume on which a promoted trial finds its checkpoint: add checkpoint: "
            "{volume: {persistentVolumeClaim: {claimName: …}}} to the spec, ReadWriteMany, and "
            "have the training save to HYPERBAND_CHECKPOINT_DIR; without it such a trial begins "
            "anew",
        )
    return study.hyperband_search(
        name,
        Fraction(repr(maximum)),
        eta,
        whole=whole,
        sizes=Sizes.FLOOR,
        path=section.field(key),
    )


def _random(made: _Study, section: Section) -> Search:
    trials = section.whole("n_experiments", 1)
    if trials is None:
        mend = "is missing: say how many experiments to sample"
        raise InvalidStudyError(section.field("n_experiments"), mend)
    study.tell_whole_trainings(made.notes, section.path)
    return study.whole_trainings({"type": "Random"}, trials)


def _grid(made: _Study, section: Section) -> Search:
    trials = section.whole("n_experiments", 1)
    made.notes.add(
        section.path,
        "tries each point of a grid, which no searcher here does: points are drawn at random, by a "
        "Sobol sequence that spreads them (a point may come twice)",
    )
    study.tell_whole_trainings(made.notes, section.path)
    searcher = {"type": "Random", "sampling": "QuasiRandom"}
    return study.whole_trainings(searcher, trials or 0)  # 0: as many as the grid has points


def _bayesian(made: _Study, section: Section) -> Search:
    made.take_metric(section)
    first, more = section.whole("n_initial_trials", 0), section.whole("n_iterations", 1)
    if section.get("utility_function") is not None:
        made.notes.add(
            section.field("utility_function"),
            "chooses kernel and acquisition: GaussianProcess has its own, a Matérn kernel whose "
            "lengths are fitted, and expected improvement; nothing is to be set",
        )
    study.tell_whole_trainings(made.notes, section.path)
    return study.whole_trainings({"type": "GaussianProcess"}, (first or 0) + (more or 1))


_SEARCHES: dict[str, Callable[[_Study, Section], Search]] = {
    "hyperband": _hyperband,
    "random_search": _random,
    "grid_search": _grid,
    "bo": _bayesian,
}


def _parameters(made: _Study, resource: str) -> list[Parameter]:
    """Those of the matrix, and what is declared once for all trials."""
    matrix = made.tuning.section("matrix")
    if not matrix.content:
        told = "is missing: list the parameters that are tuned, and what each may be"
        raise InvalidStudyError(made.tuning.field("matrix"), told)
    entries: list[Parameter] = []
    for name in matrix.content:
        entry = matrix.section(str(name))
        if name == resource:
            told = "is the resource, which Hyperband sets: its entry in the matrix is left out"
            made.notes.add(entry.path, told)
            continue
        entries.append(matrix_parameter(str(name), entry, made.notes))
    known = {each["name"] for each in entries}
    for where in ("declarations", "params"):
        section = made.root.section(where)
        for name, value in section.content.items():
            if name == resource:
                made.notes.add(section.field(name), "is the resource, which Hyperband sets")
            elif name not in known:
                entries.append(_declared(str(name), value, section, made.notes))
    return entries


def _declared(name: str, value: Any, section: Section, notes: Notes) -> Parameter:
    plain = scalar(value)
    if plain is not value:
        notes.add(section.field(name), "is given as JSON text, which the training reads as such")
    return constant(name, plain)


def _spec(
    made: _Study, algorithm: str, search: Search, parameters: list[Parameter]
) -> dict[str, Any]:
    tuning, notes, resource = made.tuning, made.notes, search.resource["name"]
    trials = search.trials or _points(parameters)
    if not made.metric:
        _metric_of_targets(made, algorithm)
    notes.add(made.root.field("run"), study.reporting(resource, made.metric))
    spec: dict[str, Any] = {
        "objective": {"metric": made.metric, "goal": made.goal.value},
        "resource": search.resource,
        "hyperband": search.hyperband,
        "searcher": search.searcher,
        "parameters": parameters,
        "maxTrials": trials,
        "parallelism": tuning.whole("concurrency", 1) or 1,
    }
    if made.targets:
        spec["earlyStopping"] = made.targets
    if algorithm == "hyperband":
        spec["resume"] = made.resume
    template, retries = pod_template(
        made.root, [each["name"] for each in parameters], resource, notes
    )
    policy = {"retries": retries} if retries is not None else {}
    if made.failed is not None:
        policy["maxFailedTrials"] = math.ceil(made.failed * trials)
    if policy:
        spec["failurePolicy"] = policy
    return {**spec, "trialTemplate": template}


def _metric_of_targets(made: _Study, algorithm: str) -> None:
    """Polyaxon's plain searches optimize nothing: they only end early."""
    if made.targets:
        made.metric, made.goal = made.targets[0]["metric"], Goal(made.targets[0]["goal"])
        told = "names no metric: the first of early_stopping is the objective"
    else:
        made.metric = "loss"
        told = "names no metric: the objective is loss here, to be small"
    where = made.tuning.field(algorithm)
    made.notes.add(where, f"{told}; change spec.objective if it is another")


def _points(parameters: list[Parameter]) -> int:
    """How many points the grid has: without steps a parameter has any number of values."""
    count = 1
    for each in parameters:
        if "values" in each:
            count *= len(each["values"])
        elif each["type"] in ("Integer", "Float"):
            step = each.get("step", 1 if each["type"] == "Integer" else None)
            if step is None or "max" not in each:
                told = f"has no end of values, which a grid cannot have: give {each['name']} a list"
                raise InvalidStudyError(f"hptuning.matrix.{each['name']}", told)
            count *= 1 + round((each["max"] - each["min"]) / step)
    return int(tidy(count))
