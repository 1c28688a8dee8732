"""`hyperband watch STUDY`: a live table of a study until it is done, then what came of it."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from hyperband.api import names
from hyperband.api.archive import UnreadableArchiveError
from hyperband.api.status import is_finished, short
from hyperband.backends.kubernetes.api_errors import KubernetesError, NotFound
from hyperband.backends.kubernetes.archives import ArchiveReader
from hyperband.backends.kubernetes.client import Client
from hyperband.backends.kubernetes.connection import Connection, NoConnectionError, connect
from hyperband.backends.kubernetes.objects import STUDIES, TRIALS
from hyperband.cli.summary import best_trial, promotes, summarize
from hyperband.core.errors import all_printable
from hyperband.core.records import TrialState

POLL_SECONDS = 1.0
MAX_TRIALS_SHOWN = 12
BAR = 30  # characters
HEARD = 5.0  # seconds in which an operator writes a study's first status
NO_OPERATOR = (
    "no operator has taken up this study yet: is one running? (hyperband operator, make run)"
)


def watch(
    study: Annotated[str, typer.Argument(help="The study's name.")],
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="Default: that of the context.")
    ] = None,
    kubeconfig: Annotated[str | None, typer.Option(help="File to use.")] = None,
    context: Annotated[str | None, typer.Option(help="Context of the kubeconfig.")] = None,
    timeout: Annotated[float, typer.Option(help="Give up after so many seconds.")] = 86400.0,
) -> None:
    """Follow a study until it is done and print the best configuration.

    Exits with 0 when the study succeeded, 1 when it failed or is not there, 3 at the timeout.
    """
    try:
        connection = connect(kubeconfig, context)
        code = asyncio.run(_follow(connection, namespace or connection.namespace, study, timeout))
    except NotFound:
        where = namespace or connection.namespace
        typer.echo(
            f"hyperband watch: there is no study '{study}' in namespace {where}: name its "
            "namespace with -n (make watch: NAMESPACE=…); kubectl get hbs -A lists all",
            err=True,
        )
        code = 1
    except (NoConnectionError, KubernetesError, UnreadableArchiveError) as error:
        typer.echo(f"hyperband watch: {error}", err=True)
        code = 1
    raise typer.Exit(code)


async def _follow(connection: Connection, namespace: str, name: str, timeout: float) -> int:
    console = Console()
    started, unheard = time.monotonic(), False
    deadline = started + timeout
    async with Client(connection) as client:
        archives = ArchiveReader[dict[str, Any]](client, namespace, name)
        with Live(console=console, refresh_per_second=4, transient=console.is_terminal) as live:
            last = ""
            while True:
                # What others wrote is shown, not obeyed.
                body = all_printable(await client.get(STUDIES, namespace, name, dict))
                trials = all_printable(await _trials(client, archives, body))
                if console.is_terminal:
                    live.update(view(body, trials))
                elif (line := one_line(body, trials)) != last:
                    last = line
                    console.print(Text(line), soft_wrap=True)
                if not unheard and not body.get("status") and time.monotonic() > started + HEARD:
                    unheard = True
                    console.print(NO_OPERATOR, highlight=False, soft_wrap=True)
                if is_finished(body.get("status") or {}):
                    break
                if time.monotonic() > deadline:
                    console.print(f"still running after {timeout:.0f} s; it goes on without me")
                    return 3
                await asyncio.sleep(POLL_SECONDS)
    if console.is_terminal:
        console.print(view(body, trials))
    console.print(summarize(body, trials), soft_wrap=True)
    return 0 if _condition(body, "Succeeded").get("status") == "True" else 1


async def _trials(
    client: Client, archives: ArchiveReader[dict[str, Any]], body: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """All trials of a study, archived or not; the latter without their curves."""
    metadata = body["metadata"]
    selector = f"{names.STUDY_LABEL}={metadata['name']}"
    pages = client.pages(TRIALS, dict, metadata["namespace"], label_selector=selector)
    trials = [item async for page in pages for item in page.items]
    archived = await archives.read(metadata["uid"], _without_curve)
    there = {trial["spec"]["index"]: trial for trial in trials}
    return list((there | archived | {i: t for i, t in there.items() if _status(t)}).values())


def _without_curve(trial: dict[str, Any]) -> dict[str, Any]:
    trial["status"].pop("curve", None)
    return trial


def view(body: Mapping[str, Any], trials: list[dict[str, Any]]) -> RenderableType:
    """The whole screen: a line of counts, the rungs as a ladder, the trials in progress."""
    parts: list[RenderableType] = [Text(one_line(body, trials)), _ladder(body)]
    active = [t for t in trials if _state(t) in ("Pending", "Running")]
    if active:
        parts.append(_in_progress(active))
    return Group(*parts)


def one_line(body: Mapping[str, Any], trials: list[dict[str, Any]]) -> str:
    """How a study stands, in one line, and in a second what is wrong."""
    status = body.get("status") or {}
    best = status.get("best")
    objective = body["spec"]["objective"]["metric"]
    states = Counter(_state(trial) for trial in trials)
    parts = [f"{len(trials)}/{body['spec']['maxTrials']} trials"]
    parts += [f"{states[s]} {s.lower()}" for s in TrialState if states[s]]
    if promotes(body):
        parts.append(f"{status.get('promotions', 0)} promotions")
    if best:
        parts.append(f"best {objective} {best['text']} by {best_trial(best, trials)}")
    else:
        parts.append("no result yet")
    line = f"{body['metadata']['name']}: " + ", ".join(parts)
    ready = _condition(body, "Ready")
    if ready.get("status") == "False":
        line += f"\n{ready['reason']}: {ready['message']}"
    suspended = _condition(body, "Suspended")
    if suspended.get("status") == "True":
        line += f"\nsuspended: {suspended['message']}"
    message = _condition(body, "Progressing").get("message", "")
    if "pods wait: " in message:
        line += "\npods wait: " + message.partition("pods wait: ")[2]
    return line


def _ladder(body: Mapping[str, Any]) -> Table:
    brackets = (body.get("status") or {}).get("brackets") or []
    total = body["spec"]["maxTrials"]
    table = Table(title="rungs", title_justify="left", box=None, pad_edge=False)
    columns = ["bracket"] if len(brackets) > 1 else []
    columns += [body["spec"]["resource"]["name"], "values"]
    columns += ["paused"] if promotes(body) else []
    for column in (*columns, "best"):
        table.add_column(Text(column), justify="right")  # text, so that no markup is read in it
    table.add_column(f"values of {total} trials")
    for bracket in brackets:
        for rung in bracket["rungs"]:
            cells = [str(bracket["bracket"])] if len(brackets) > 1 else []
            cells += [f"{rung['resource']:g}", str(rung["trials"])]
            cells += [str(rung.get("paused", 0))] if promotes(body) else []
            best = short(rung["best"]) if "best" in rung else ""
            table.add_row(*cells, best, "█" * round(BAR * rung["trials"] / total))
    return table


def _in_progress(active: list[dict[str, Any]]) -> Table:
    table = Table(title="in progress", title_justify="left", box=None, pad_edge=False)
    for column in ("trial", "state", "to", "last value", "attempt"):
        table.add_column(column, no_wrap=True)
    table.add_column("why")  # the only one to give way on a narrow screen
    for trial in active[:MAX_TRIALS_SHOWN]:
        status = _status(trial)
        latest = status.get("latest")
        # The value stands in a column of its own: of a promotion, the rank is what is left to say.
        new = f"a new configuration ({trial['spec']['suggestion']['origin']})"
        why = status.get("message", new).rpartition(": rank ")
        table.add_row(
            trial["metadata"]["name"],
            _state(trial),
            f"{status['target']:g}" if "target" in status else "",
            Text(f"{latest['text']} at {latest['resource']:g}" if latest else ""),
            str(status.get("attempt", 0)),
            Text(f"rank {why[2]}" if why[1] else why[2], no_wrap=True, overflow="ellipsis"),
        )
    if len(active) > MAX_TRIALS_SHOWN:
        table.add_row(f"… and {len(active) - MAX_TRIALS_SHOWN} more")
    return table


def _state(trial: Mapping[str, Any]) -> str:
    state: str = _status(trial).get("state", "Pending")
    return state


def _status(trial: Mapping[str, Any]) -> Mapping[str, Any]:
    return trial.get("status") or {}


def _condition(body: Mapping[str, Any], type_: str) -> Mapping[str, Any]:
    rows = (body.get("status") or {}).get("conditions") or []
    return next((c for c in rows if c["type"] == type_), {})
