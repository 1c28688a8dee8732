"""Katib's Experiment, v1beta1."""

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from hyperband.api import names
from hyperband.cli.converting import spaces, study
from hyperband.cli.converting.katib_trial import trial_template
from hyperband.cli.converting.source import Converted, Notes, Section, read_number, read_whole
from hyperband.cli.converting.spaces import Parameter, tidy
from hyperband.cli.converting.study import GOALS, Search
from hyperband.core.errors import InvalidStudyError
from hyperband.core.parameters import Value, show
from hyperband.core.records import Sizes

ORIGIN = "Katib, Experiment"
API_VERSION = "kubeflow.org/v1beta1"
PARALLEL = 3  # Katib's default
TRIALS = 50  # where Katib would go on without an end

# Algorithms without rungs: our searcher, and what differs.
_SEARCHERS: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "random": ({"type": "Random"}, ""),
    "sobol": ({"type": "Random", "sampling": "QuasiRandom"}, ""),
    "grid": (
        {"type": "Random", "sampling": "QuasiRandom"},
        "tries each point of a grid, which no searcher here does: points are drawn by a Sobol "
        "sequence that spreads them (a point may come twice)",
    ),
    "bayesianoptimization": ({"type": "GaussianProcess"}, ""),
    "tpe": (
        {"type": "KernelDensity"},
        "is KernelDensity here, BOHB's form of it: densities of good and of bad trials",
    ),
    "multivariate-tpe": (
        {"type": "KernelDensity"},
        "is KernelDensity here, whose densities are of all parameters together, too",
    ),
    "cmaes": (
        {"type": "GaussianProcess"},
        "has no counterpart: GaussianProcess is nearest, which learns how parameters act together "
        "from fewer trials; with thousands of trials take Evolution",
    ),
    "pbt": (
        {"type": "Evolution"},
        "changes parameters while a trial trains, which nothing here does: Evolution breeds new "
        "trials from good ones, each with parameters of its own from beginning to end. Where a "
        "schedule is what you are after, make it a parameter",
    ),
}
_KNOWN = ("hyperband", "asha", *_SEARCHERS)
_COLLECTORS = {
    "none": "pushes metrics itself through Katib's SDK (report_metrics)",
    "stdout": "reads metrics from the log",
    "file": "reads metrics from a file",
    "tensorflowevent": "reads TensorFlow's event files",
    "prometheusmetric": "asks the training for metrics over HTTP",
    "custom": "runs a container of yours that reads metrics",
}


def is_katib(content: Mapping[str, Any]) -> bool:
    """Whether it is an Experiment of some version."""
    group = str(content.get("apiVersion")).partition("/")[0]
    return content.get("kind") == "Experiment" and group == "kubeflow.org"


def convert_katib(content: Mapping[str, Any], name: str) -> Converted:
    """A study from an Experiment.

    Args:
        name: of the study if the file has none.

    Raises:
        InvalidStudyError: it is not as Katib has it; the field is that of the file.
    """
    root, notes = Section(content, ""), Notes()
    version = root.get("apiVersion")
    if version != API_VERSION:
        mend = f"write it as {API_VERSION}, which Katib has had since 2020"
        raise InvalidStudyError("apiVersion", f"{show(version)} is another version: {mend}")
    metadata, spec = root.section("metadata"), root.section("spec")
    if spec.get("nasConfig") is not None:
        raise InvalidStudyError(
            "spec.nasConfig",
            "searches for an architecture inside of one training, which no study does: make its "
            "choices parameters (manifests/samples/architecture.yaml)",
        )
    given = metadata.get("name") or metadata.get("generateName")
    made = {"name": study.study_name(given or name, metadata.field("name"), notes)}
    if metadata.get("namespace"):
        made["namespace"] = str(metadata.get("namespace"))
    for key in ("labels", "annotations"):
        if metadata.get(key):
            made[key] = metadata.get(key)
    body = {
        "apiVersion": names.API_VERSION,
        "kind": names.STUDY_KIND,
        "metadata": made,
        "spec": _spec(spec, notes),
    }
    return Converted(ORIGIN, body, notes.found)


def _spec(spec: Section, notes: Notes) -> dict[str, Any]:
    search, dropped = _search(spec, notes)
    resource = search.resource["name"]
    made: dict[str, Any] = _objective(spec, notes)
    given = spec.sections("parameters")
    if not given:
        raise InvalidStudyError("spec.parameters", "is missing: list what is tuned")
    parameters = [_parameter(each, notes) for each in given if each.get("name") != dropped]
    metric = made["objective"]["metric"]
    _collector(spec, resource, metric, notes)
    limit = spec.whole("maxTrialCount", 1)
    template, retries = trial_template(spec, [each["name"] for each in parameters], dropped, notes)
    failed = spec.whole("maxFailedTrialCount")
    policy = {
        **({"retries": retries} if retries is not None else {}),
        **({"maxFailedTrials": failed} if failed is not None else {}),
    }
    _resume(spec, notes)
    study_spec = {
        "objective": made["objective"],
        "resource": search.resource,
        "hyperband": search.hyperband,
        "searcher": search.searcher,
        "parameters": parameters,
        "maxTrials": _trials(spec, search, limit, rungs=dropped is not None, notes=notes),
        "parallelism": spec.whole("parallelTrialCount", 1) or PARALLEL,
        **({"earlyStopping": made["earlyStopping"]} if "earlyStopping" in made else {}),
        **({"failurePolicy": policy} if policy else {}),
        # Katib trains each promoted trial from the beginning.
        **({"resume": False} if dropped is not None else {}),
        "trialTemplate": template,
    }
    spec.tell_rest(notes)
    return study_spec


def _objective(spec: Section, notes: Notes) -> dict[str, Any]:
    given = spec.section("objective")
    metric = str(given.need("objectiveMetricName", "name the metric that the training reports"))
    goal = given.choice("type", GOALS).value
    made: dict[str, Any] = {"objective": {"metric": metric, "goal": goal}}
    reached = given.number("goal")
    if reached is not None:
        made["earlyStopping"] = [{"metric": metric, "goal": goal, "value": tidy(reached)}]
    if given.items("additionalMetricNames"):
        told = "need not be listed: whatever is reported beside the objective rides along"
        notes.add(given.field("additionalMetricNames"), told)
    if given.items("metricStrategies"):
        notes.add(
            given.field("metricStrategies"),
            "say which of a trial's values counts: here it is the one reported at each rung; "
            "report the best so far where that is what should count",
        )
    return made


def _search(spec: Section, notes: Notes) -> tuple[Search, str | None]:
    """The search, and the parameter that is the resource, if one is."""
    algorithm = spec.section("algorithm")
    name = algorithm.choice("algorithmName", {known: known for known in _KNOWN})
    settings = _settings(algorithm)
    seed = settings.pop("random_state", settings.pop("seed", None))
    _early_stopping(spec, notes)
    dropped = None
    if name in ("hyperband", "asha"):
        search, dropped = _rungs(spec, name, settings)
    else:
        searcher, told = _SEARCHERS[name]
        if told:
            notes.add(algorithm.field("algorithmName"), f"{name} {told}")
        population = settings.pop("n_population", None) if name == "pbt" else None
        if population is not None:
            where = f"{algorithm.field('algorithmSettings')}.n_population"
            searcher = {**searcher, "population": read_whole(population, where, 2)}
        study.tell_whole_trainings(notes, algorithm.path)
        search = study.whole_trainings(searcher, 0)
    if seed is not None:
        where = f"{algorithm.field('algorithmSettings')}.random_state"
        searcher = {**search.searcher, "seed": read_whole(seed, where)}
        search = Search(search.resource, search.hyperband, searcher, search.trials)
    for left, value in settings.items():
        whose = f"is a setting of Katib's {name}"
        told = f"{left} ({value}) {whose}: see docs/concepts/searchers.md for ours"
        notes.add(algorithm.field("algorithmSettings"), told)
    return search, dropped


def _settings(section: Section) -> dict[str, str]:
    """[{name: eta, value: "3"}, …]."""
    return {
        str(each.need("name", "name the setting")): str(each.need("value", "give its value"))
        for each in section.sections("algorithmSettings")
    }


def _rungs(spec: Section, name: str, settings: dict[str, str]) -> tuple[Search, str]:
    """Hyperband by the settings r_l, eta and resource_name, as Katib's own code reads them."""
    path = spec.section("algorithm").field("algorithmSettings")
    for key in ("r_l", "resource_name"):
        if key not in settings:
            raise InvalidStudyError(path, f"{key} is missing: {name} needs r_l and resource_name")
    known = [each.get("name") for each in spec.sections("parameters")]
    resource = settings.pop("resource_name")
    if resource not in known:
        told = f"resource_name {show(resource)} is not among parameters: name one of those"
        raise InvalidStudyError(path, told)
    maximum = read_number(settings.pop("r_l"), f"{path}.r_l", 1)
    eta = float(read_number(settings.pop("eta", "3"), f"{path}.eta", 2))
    # Katib cuts what it gives a trial to whole numbers.
    found = study.hyperband_search(
        resource,
        Fraction(math.floor(maximum)),
        eta,
        whole=True,
        sizes=Sizes.PAPER,
        path=f"{path}.r_l",
    )
    if name == "asha":
        rules = {"mode": "Promotion", "eta": found.hyperband["eta"]}
        found = Search(found.resource, rules, found.searcher, 0)
    return found, resource


def _early_stopping(spec: Section, notes: Notes) -> None:
    given = spec.section("earlyStopping")
    name = given.get("algorithmName")
    if name is None:
        return
    if name != "medianstop":
        told = f"{show(name)} is not known: use medianstop, or leave earlyStopping out"
        raise InvalidStudyError(given.field("algorithmName"), told)
    settings = ", ".join(f"{key} {value}" for key, value in _settings(given).items())
    notes.add(
        given.path,
        f"medianstop{f' ({settings})' if settings else ''} stops trials worse than the median, as "
        "rungs do here, more strictly: write hyperband: {mode: Stopping, eta: 2} and the resource "
        "that the training spends, with min as the first step at which a trial may be stopped",
    )


def _trials(spec: Section, search: Search, limit: int | None, *, rungs: bool, notes: Notes) -> int:
    where = spec.field("maxTrialCount")
    if rungs and search.trials:
        told = (
            "counts each rung of a configuration anew; maxTrials counts configurations, and all "
            f"brackets take {search.trials}"
        )
        trials = min(limit, search.trials) if limit else search.trials
        notes.add(where, f"{told}; it is {trials} here")
        return trials
    if limit is None:
        notes.add(where, f"is missing, so that Katib has no end: maxTrials is {TRIALS} here")
    return limit or TRIALS


def _collector(spec: Section, resource: str, metric: str, notes: Notes) -> None:
    given = spec.section("metricsCollectorSpec")
    kind = str(given.section("collector").get("kind") or "StdOut")
    does = _COLLECTORS.get(kind.lower(), "is not known")
    told = study.reporting(resource, metric)
    notes.add(given.path, f"Katib's collector {kind} {does}; {told}")


def _resume(spec: Section, notes: Notes) -> None:
    policy = spec.get("resumePolicy")
    if policy in ("LongRunning", "FromVolume"):
        notes.add(
            spec.field("resumePolicy"),
            f"{policy} lets a finished experiment go on: here raise maxTrials before the study "
            "ends, or create another one with warmStart: {fromStudies: […]}",
        )
    elif policy not in (None, "Never"):
        told = f"{show(policy)} is not known: use Never, LongRunning or FromVolume"
        raise InvalidStudyError(spec.field("resumePolicy"), told)


def _parameter(section: Section, notes: Notes) -> Parameter:
    name = str(section.need("name", "name the parameter"))
    kind = section.choice("parameterType", {kind: kind for kind in _TYPES})
    space = section.section("feasibleSpace")
    made = _TYPES[kind](name, space, notes)
    space.tell_rest(notes, lambda key: f"means nothing to a {kind} and is left out")
    section.tell_rest(notes)
    return made


def _categorical(name: str, space: Section, notes: Notes) -> Parameter:
    return spaces.choices(name, _list(space), None, space.field("list"))


def _discrete(name: str, space: Section, notes: Notes) -> Parameter:
    path = space.field("list")
    numbers = [tidy(read_number(value, path)) for value in _list(space)]
    return spaces.choices(name, numbers, None, path)


def _list(space: Section) -> list[Value]:
    return [str(value) for value in space.items("list")]


def _double(name: str, space: Section, notes: Notes) -> Parameter:
    return _numeric(name, space, notes, whole=False)


def _int(name: str, space: Section, notes: Notes) -> Parameter:
    return _numeric(name, space, notes, whole=True)


_TYPES: Mapping[str, Callable[[str, Section, Notes], Parameter]] = {
    "double": _double,
    "int": _int,
    "categorical": _categorical,
    "discrete": _discrete,
}
_LAWS = ("uniform", "logUniform", "normal", "logNormal")


def _numeric(name: str, space: Section, notes: Notes, *, whole: bool) -> Parameter:
    low, high = (_bound(space, bound, whole=whole) for bound in ("min", "max"))
    law = space.choice("distribution", {law: law for law in _LAWS}, "uniform")
    step = None if space.get("step") in (None, "") else _bound(space, "step", whole=whole)
    if step is not None and step <= 0:
        raise InvalidStudyError(space.field("step"), f"{tidy(step)} is not above 0: raise it")
    if low > high:
        told = f"{tidy(low)} is above max {tidy(high)}: exchange the two"
        raise InvalidStudyError(space.field("min"), told)
    if low == high or (step is not None and step > high - low):
        return spaces.constant(name, tidy(low))
    log = law in ("logUniform", "logNormal")
    if log and low <= 0:
        told = f"{tidy(low)} has no logarithm: give a min above 0, or another distribution"
        raise InvalidStudyError(space.field("min"), told)
    steps = Fraction(1) if step is None and whole else step
    if law == "logUniform":
        return _log_uniform(name, space, low, high, step, whole=whole, notes=notes)
    made = (
        spaces.spread(name, low, high, log=False)
        if steps is None
        else spaces.grid(name, low, steps, 1 + math.floor((high - low) / steps))
    )
    return made if law == "uniform" else {**made, **_bell(low, high, log=log)}


def _log_uniform(
    name: str,
    space: Section,
    low: Fraction,
    high: Fraction,
    step: Fraction | None,
    *,
    whole: bool,
    notes: Notes,
) -> Parameter:
    if step is None or (whole and step == 1):
        return spaces.spread(name, low, high, whole=whole, log=True)
    made, kept = spaces.log_grid(name, float(low), float(high), step)
    if not kept:
        told = f"{tidy(step)} has too many values on a logarithmic scale and is left out: round in "
        notes.add(space.field("step"), f"{told}the training, or raise it")
    return made


def _bell(low: Fraction, high: Fraction, *, log: bool) -> Mapping[str, Any]:
    """Katib takes min and max for 3 deviations from the mean (pkg/suggestion/…/hyperopt)."""
    first, last = (math.log(low), math.log(high)) if log else (float(low), float(high))
    return {
        "distribution": "LogNormal" if log else "Normal",
        "mean": tidy((first + last) / 2),
        "deviation": tidy((last - first) / 6),
    }


def _bound(space: Section, name: str, *, whole: bool) -> Fraction:
    value = space.need(name, "give it")
    path = space.field(name)
    return Fraction(read_whole(value, path, -(2**53))) if whole else read_number(value, path)
