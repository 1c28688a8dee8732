"""`hyperband describe STUDY`: one study on a page, whatever the number of its trials."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from hyperband.api import names
from hyperband.api.words import number, since, state
from hyperband.backends.kubernetes.api_errors import Forbidden
from hyperband.backends.kubernetes.objects import PODS, Object
from hyperband.backends.kubernetes.recorder import EVENTS
from hyperband.cli.cluster import (
    DONE,
    Access,
    ContextOption,
    KubeconfigOption,
    NamespaceOption,
    Session,
    StudyArgument,
    run,
)
from hyperband.cli.list_studies import row
from hyperband.cli.local_runs import DirOption, read_locally
from hyperband.cli.output import Output, OutputOption, write
from hyperband.cli.spent import gpu_words, gpus_in_use, spent, spent_words
from hyperband.cli.tables import console, pairs, table
from hyperband.cli.trials import is_owned
from hyperband.cli.watch import in_progress, ladder
from hyperband.core.errors import all_printable

MAX_EVENTS = 10
LIVE = "status.phase!=Succeeded,status.phase!=Failed"  # of pods

Body = Mapping[str, Any]


def describe(
    study: StudyArgument,
    namespace: NamespaceOption = None,
    output: OutputOption = Output.TABLE,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    dir: DirOption = None,
) -> None:
    """Show a study: what it searches, how it stands, its rungs, its best, what it has spent."""

    async def work(session: Session) -> int:
        body = await session.shown_study(study)
        running = await running_trials(session, body)
        return tell(body, running, await _events(session, body))

    def tell(
        body: Body, running: Sequence[dict[str, Any]], events: Sequence[Body], local: bool = False
    ) -> int:
        now = datetime.now(UTC)
        if output is Output.TABLE:
            console().print(page(body, running, events, now, local))
        else:
            write(answer(body, running, events, now, local), output)
        return DONE

    def look(body: dict[str, Any], trials: list[dict[str, Any]]) -> int:
        return tell(all_printable(body), active(all_printable(trials)), [], local=True)

    if dir is not None:
        read_locally("describe", dir, study, look)
    run("describe", Access(kubeconfig, context, namespace), work)


async def running_trials(session: Session, body: Body) -> list[dict[str, Any]]:
    """The trials that have a pod which is not over, by index.

    Found by their pods, of which there are no more than run at a time: a study may have ten
    thousand trials, and only their pods tell the server which of them run.
    """
    metadata = body["metadata"]
    pages = session.client.pages(
        PODS,
        Object,
        session.namespace,
        label_selector=f"{names.STUDY_LABEL}={metadata['name']},{names.TRIAL_LABEL}",
        field_selector=LIVE,
    )
    owners = [item.metadata.controller async for page in pages for item in page.items]
    trials = {each.name for each in owners if each is not None and each.kind == names.TRIAL_KIND}
    found = await asyncio.gather(*(session.trial_object(name) for name in trials))
    own = [all_printable(t) for t in found if t is not None and is_owned(t, metadata["uid"])]
    return active(own)


def active(trials: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that hold a slot, by index."""
    found = [trial for trial in trials if state(trial) in ("Pending", "Running")]
    return sorted(found, key=lambda trial: int(trial["spec"]["index"]))


async def _events(session: Session, body: Body) -> list[dict[str, Any]]:
    """The last events, latest first; none where they may not be read."""
    selector = f"involvedObject.uid={body['metadata']['uid']}"
    try:
        pages = session.client.pages(EVENTS, dict, session.namespace, field_selector=selector)
        found = [all_printable(item) async for page in pages for item in page.items]
    except Forbidden:
        return []
    found.sort(key=lambda event: event.get("lastTimestamp") or "", reverse=True)
    return found[:MAX_EVENTS]


def answer(
    body: Body, running: Sequence[Body], events: Sequence[Body], now: datetime, local: bool
) -> dict[str, Any]:
    """The page as plain data.

    Args:
        local: whether trials are processes of a machine, which may do without their GPUs.
    """
    spec, status = body["spec"], body.get("status") or {}
    return {
        **row(body),
        "objective": spec["objective"],
        "resource": spec["resource"],
        "hyperband": spec.get("hyperband") or {},
        "parameters": spec["parameters"],
        "parallelism": spec.get("parallelism", 1),
        "seed": status.get("seed"),
        "conditions": status.get("conditions") or [],
        "counts": status.get("trials") or {},
        "promotions": status.get("promotions", 0),
        "brackets": status.get("brackets") or [],
        "bestTrial": status.get("best"),
        "spent": spent(body, now),
        "gpusInUse": None if local else gpus_in_use(body, _running(status)),
        "warmStart": status.get("warmStart"),
        "runningTrials": [
            {"name": t["metadata"]["name"], "parameters": t["spec"]["parameters"], **_now(t)}
            for t in running
        ],
        "events": [
            {key: event.get(key) for key in ("type", "reason", "count", "lastTimestamp", "message")}
            for event in events
        ],
    }


def _now(trial: Body) -> dict[str, Any]:
    status = trial.get("status") or {}
    return {"state": state(trial)} | {
        key: status[key] for key in ("attempt", "target", "latest", "message") if key in status
    }


def _running(status: Body) -> int:
    return int((status.get("trials") or {}).get("running", 0))


def page(
    body: Body,
    running: Sequence[dict[str, Any]],
    events: Sequence[Body],
    now: datetime,
    local: bool,
) -> RenderableType:
    """All of it for people."""
    parts: list[RenderableType] = [pairs(_head(body, now, local)), _parameters(body)]
    parts.append(ladder(body))
    best = (body.get("status") or {}).get("best")
    if best:
        metric, resource = body["spec"]["objective"]["metric"], body["spec"]["resource"]["name"]
        title = f"best: {metric} {best['text']} at {best['resource']:g} {resource}, {best['trial']}"
        rows = {f"  {name}": number(value) for name, value in best["parameters"].items()}
        parts.append(Group(Text(title, style="bold"), pairs(rows)))
    if running:
        parts.append(in_progress(list(running)))
    parts.append(_conditions(body, now))
    if events:
        parts.append(_event_table(events, now))
    return Group(*[item for part in parts for item in (part, Text(""))][:-1])


def _head(body: Body, now: datetime, local: bool) -> dict[str, Any]:
    metadata, spec, status = body["metadata"], body["spec"], body.get("status") or {}
    line, objective, resource = row(body), spec["objective"], spec["resource"]
    hyperband = spec.get("hyperband") or {}
    counts = status.get("trials") or {}
    states = ", ".join(f"{n} {name}" for name, n in counts.items() if name != "total" and n)
    brackets = hyperband.get("brackets", 1)
    return {
        "study": f"{metadata['name']}, namespace {metadata['namespace']}",
        "age": since(metadata.get("creationTimestamp"), now),
        "status": line["status"],
        "objective": f"{objective.get('goal', 'Minimize')} {objective['metric']}",
        "resource": f"{resource['min']:g} to {resource['max']:g} {resource['name']}",
        "method": f"{line['mode']}, eta {hyperband.get('eta', 3):g}"
        + (f", {brackets} brackets" if brackets > 1 else ""),
        "searcher": line["searcher"] + (f", seed {status['seed']}" if "seed" in status else ""),
        "trials": f"{line['trials']} of {spec['maxTrials']}, {spec.get('parallelism', 1)} at a time"
        + (f": {states}" if states else ""),
        "promotions": status.get("promotions") or None,
        "spent": spent_words(body, now),
        "GPUs": "" if local else gpu_words(body, _running(status)),
        "warm start": _warm_start(status),
    }


def _warm_start(status: Body) -> str:
    studies = (status.get("warmStart") or {}).get("studies") or []
    return "\n".join(f"{each['name']}: {each.get('message', '')}" for each in studies)


def _parameters(body: Body) -> RenderableType:
    rows = [(each["name"], each["type"], _range(each)) for each in body["spec"]["parameters"]]
    return table(("parameter", "type", "range"), rows)


def _range(given: Body) -> str:
    if "values" in given:
        text = ", ".join(str(value) for value in given["values"])
    elif "value" in given:
        text = str(given["value"])
    else:
        text = " to ".join(number(given[key]) for key in ("min", "max") if key in given)
    keys = ("distribution", "scale", "step", "mean", "deviation")
    plain = ("Linear", "Uniform")
    more = [f"{key} {given[key]}" for key in keys if given.get(key) not in (None, *plain)]
    more += [f"when {name} in {values}" for name, values in (given.get("when") or {}).items()]
    return "; ".join(part for part in (text, *more) if part)


def _conditions(body: Body, now: datetime) -> RenderableType:
    rows = [
        (each["type"], each["status"], each["reason"], _when(each, now), each["message"])
        for each in (body.get("status") or {}).get("conditions") or []
    ]
    return table(("condition", "holds", "reason", "since", "message"), rows)


def _when(given: Body, now: datetime) -> str:
    return since(given.get("lastTransitionTime"), now)


def _event_table(events: Sequence[Body], now: datetime) -> RenderableType:
    rows = [
        (
            since(event.get("lastTimestamp"), now),
            event.get("count", 1),
            event.get("reason", ""),
            event.get("message", ""),
        )
        for event in events
    ]
    return table(("last", "times", "event", "message"), rows, right=("last", "times"))
