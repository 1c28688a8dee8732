"""`hyperband best STUDY`: the best configuration, to read, to source, or to train in full."""

import copy
import shlex
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.text import Text

from hyperband.api import names
from hyperband.api.environment import study_folder, training_environment
from hyperband.api.study import ReportingMode, StudyResource, parse_study
from hyperband.api.words import number
from hyperband.backends.kubernetes.sidecar import report_volume
from hyperband.cli.cluster import (
    DONE,
    USAGE,
    Access,
    ContextOption,
    KubeconfigOption,
    NamespaceOption,
    Session,
    StudyArgument,
    ToldError,
    run,
)
from hyperband.cli.local_runs import DirOption, read_locally
from hyperband.cli.output import Output, write
from hyperband.cli.tables import console, pairs
from hyperband.core.errors import all_printable
from hyperband.core.records import Suggestion, Trial, TrialState
from hyperband.core.rungs import Ladder

Body = Mapping[str, Any]


class Form(StrEnum):
    """How the best configuration is written."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    ENV = "env"


class Manifest(StrEnum):
    """What trains the best configuration."""

    POD = "pod"
    JOB = "job"


def best(
    study: StudyArgument,
    output: Annotated[
        Form | None,
        typer.Option(
            "--output", "-o", help="env: lines for a shell, as the training is given them."
        ),
    ] = None,
    manifest: Annotated[
        Manifest | None,
        typer.Option(help="What trains it at the full resource, for kubectl create -f -."),
    ] = None,
    namespace: NamespaceOption = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    dir: DirOption = None,
) -> None:
    """Show the best configuration of a study so far, or write what trains it in full.

    The best value is that at any rung. A study that has none exits with 1.
    """

    async def work(session: Session) -> int:
        return tell(await session.study(study))

    def tell(body: Body) -> int:
        found = (body.get("status") or {}).get("best")
        if not found:
            raise ToldError(f"study {study} has no result yet: hyperband watch {study}")
        if manifest is not None and output in (Form.ENV, Form.TABLE):
            raise ToldError(f"--manifest is an object, no {output}: use -o yaml or json", USAGE)
        _write(body, found, output, manifest)
        return DONE

    if dir is not None:
        read_locally("best", dir, study, lambda body, _: tell(body))
    run("best", Access(kubeconfig, context, namespace), work)


def _write(body: Body, found: Body, output: Form | None, manifest: Manifest | None) -> None:
    if manifest is not None:
        write(training(body, manifest), Output(output or Output.YAML))
    elif output is Form.ENV:
        # Quoted as a shell reads it, so whatever a value holds it is a value.
        for name, value in environment(body).items():
            typer.echo(f"export {name}={shlex.quote(value)}")
    elif output in (Form.JSON, Form.YAML):
        keys = ("trial", "value", "resource", "parameters")
        write({key: found[key] for key in keys}, Output(output))
    else:
        shown, spec = all_printable(found), all_printable(body["spec"])
        where = f"{shown['resource']:g} {spec['resource']['name']}"
        line = f"{spec['objective']['metric']} {shown['text']} at {where}, trial {shown['trial']}"
        rows = {f"  {name}": number(value) for name, value in shown["parameters"].items()}
        console().print(Group(Text(line, style="bold"), pairs(rows)))


def _best_trial(resource: StudyResource, body: Body) -> tuple[Trial, Ladder]:
    """The best configuration as a trial that trains from the start to r_max."""
    found, ladder = body["status"]["best"], Ladder.of(resource.study)
    space = resource.study.space
    given = space.canonical(found["parameters"], "status.best.parameters")
    suggestion = Suggestion(given, "Best")
    trial = Trial(int(found["index"]), suggestion, 0, TrialState.PENDING, ladder.top)
    return trial, ladder


def environment(body: Body) -> dict[str, str]:
    """The variables of a training of the best configuration in full, by name.

    Those that say where in a study a pod stands are left out: it belongs to none.
    """
    resource = parse_study(body)
    trial, ladder = _best_trial(resource, body)
    variables = training_environment(resource, trial, ladder, uid="")
    for name in (names.ENV_TRIAL, names.ENV_ATTEMPT):
        variables.pop(name)
    if resource.checkpoint is not None:  # beside those of the trials, which may be cleaned up
        variables[names.ENV_CHECKPOINT_DIR] = f"{study_folder(resource)}/best-{trial.index}"
    return variables


def training(body: Body, kind: Manifest) -> dict[str, Any]:
    """A pod, or a Job, of the study's template that trains the best configuration in full.

    It has none of the labels by which the operator knows trials, and reports to nobody: what a
    training reports goes to its log, or to a file that ends with the pod.
    """
    resource = parse_study(body)
    spec = _pod_spec(resource, environment(body))
    template = resource.template
    metadata: dict[str, Any] = {"name": f"{resource.name}-best", "namespace": resource.namespace}
    labels, annotations = dict(template.labels), dict(template.annotations)
    kept = {
        key: value for key, value in (("labels", labels), ("annotations", annotations)) if value
    }
    if kind is Manifest.POD:
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata | kept, "spec": spec}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {
            "backoffLimit": resource.study.failure_policy.retries,
            "template": {"metadata": kept, "spec": spec},
        },
    }


def _pod_spec(resource: StudyResource, variables: Mapping[str, str]) -> dict[str, Any]:
    template = resource.template
    spec: dict[str, Any] = copy.deepcopy(dict(template.spec))
    spec["restartPolicy"] = "Never"
    container = spec["containers"][template.container]
    # A doubled $ is a plain one: values are no references, whatever they look like.
    ours = [{"name": name, "value": value.replace("$", "$$")} for name, value in variables.items()]
    container["env"] = [*ours, *(container.get("env") or [])]
    if resource.checkpoint is not None:
        volume = {**resource.checkpoint.volume, "name": names.CHECKPOINT_VOLUME}
        _mount(spec, container, volume, resource.checkpoint.mount_path)
    if resource.reporting.mode is ReportingMode.SIDECAR:
        _mount(spec, container, report_volume(), names.REPORT_MOUNT)
    return spec


def _mount(
    spec: dict[str, Any], container: dict[str, Any], volume: dict[str, Any], path: str
) -> None:
    spec["volumes"] = [*(spec.get("volumes") or []), volume]
    mount = {"name": volume["name"], "mountPath": path}
    container["volumeMounts"] = [*(container.get("volumeMounts") or []), mount]
