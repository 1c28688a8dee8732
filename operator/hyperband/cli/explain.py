"""`hyperband explain TRIAL`: why a trial is where it is, decision by decision."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from hyperband.api import names
from hyperband.api.story import Past, Step, story
from hyperband.api.words import number, state, status
from hyperband.backends.kubernetes.api_errors import Forbidden, NotFound
from hyperband.backends.kubernetes.archives import read_trials
from hyperband.backends.kubernetes.objects import PODS
from hyperband.cli.cluster import (
    DONE,
    Access,
    ContextOption,
    KubeconfigOption,
    NamespaceOption,
    Session,
    TrialArgument,
    run,
)
from hyperband.cli.local_runs import DirOption, local_trial, read_locally
from hyperband.cli.output import Output, OutputOption, write
from hyperband.cli.tables import console, pairs, table
from hyperband.cli.trials import find
from hyperband.core.errors import all_printable


def explain(
    trial: TrialArgument,
    namespace: NamespaceOption = None,
    output: OutputOption = Output.TABLE,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    dir: DirOption = None,
) -> None:
    """Tell the life of a trial: each decision with the numbers that made it, what it waits for.

    Ranks are those at the moment of a value, worked out anew from the order in which all values of
    its rung were recorded.
    """

    async def work(session: Session) -> int:
        body, found = await find(session, trial)
        steps = story(body, found, await _past(session, body), await _pod(session, body, found))
        return tell(body, found, steps)

    def tell(body: Mapping[str, Any], found: Mapping[str, Any], steps: Sequence[Step]) -> int:
        if output is Output.TABLE:
            console().print(page(body, found, steps))
        else:
            write(answer(body, found, steps), output)
        return DONE

    def look(body: dict[str, Any], trials: list[dict[str, Any]]) -> int:
        body, trials = all_printable(body), all_printable(trials)
        found, past = local_trial(body, trials, trial), [_as_past(each) for each in trials]
        return tell(body, found, story(body, found, past, None, local=True))

    if dir is not None:
        read_locally("explain", dir, trial.rpartition("-")[0], look)
    run("explain", Access(kubeconfig, context, namespace), work)


def _as_past(trial: Mapping[str, Any]) -> Past:
    spec = trial["spec"]
    return Past(int(spec["index"]), int(spec["bracket"]), status(trial).get("rungs") or ())


async def _past(session: Session, body: Mapping[str, Any]) -> list[Past]:
    metadata = body["metadata"]
    place = (session.client, session.namespace, metadata["name"], metadata["uid"])
    return [
        Past(int(item.spec["index"]), int(item.spec["bracket"]), item.status.get("rungs") or ())
        async for items in read_trials(*place)
        for item in items
    ]


async def _pod(
    session: Session, body: Mapping[str, Any], trial: Mapping[str, Any]
) -> dict[str, Any] | None:
    """The pod of the current attempt, if it is there and may be read."""
    attempt, index = int(status(trial).get("attempt", 0)), int(trial["spec"]["index"])
    name = names.pod_name(body["metadata"]["name"], index, attempt)
    try:
        found: dict[str, Any] = await session.client.get(PODS, session.namespace, name, dict)
    except (NotFound, Forbidden):
        return None
    shown: dict[str, Any] = all_printable(found)
    return shown


def answer(
    body: Mapping[str, Any], trial: Mapping[str, Any], steps: Sequence[Step]
) -> dict[str, Any]:
    """The story as plain data."""
    known = status(trial)
    return {
        "trial": trial["metadata"]["name"],
        "study": body["metadata"]["name"],
        "state": state(trial),
        "bracket": trial["spec"]["bracket"],
        "origin": trial["spec"]["suggestion"]["origin"],
        "parameters": trial["spec"]["parameters"],
        "failures": known.get("failures", 0),
        "disruptions": known.get("disruptions", 0),
        "gpuSeconds": known.get("gpuSeconds", 0.0),
        "steps": [
            {"what": step.what, "text": step.text, "numbers": dict(step.numbers)} for step in steps
        ],
    }


def page(
    body: Mapping[str, Any], trial: Mapping[str, Any], steps: Sequence[Step]
) -> RenderableType:
    """The story for people."""
    told, brackets = answer(body, trial, steps), (body["spec"].get("hyperband") or {})
    title = f"{told['trial']} of study {told['study']}: {told['state']}"
    if brackets.get("brackets", 1) > 1:
        title += f", bracket {told['bracket']}"
    counts = f"{told['failures']} failures, {told['disruptions']} disruptions, "
    counts += f"{number(float(told['gpuSeconds']))} GPU-seconds"
    rows = {f"  {name}": number(value) for name, value in told["parameters"].items()}
    lines = [(step.what, step.text) for step in steps]
    return Group(Text(title, style="bold"), pairs(rows), Text(counts), Text(""), _life(lines))


def _life(lines: Sequence[tuple[str, str]]) -> RenderableType:
    made = table(("step", "what happened"), lines)
    made.show_header = False
    return made
