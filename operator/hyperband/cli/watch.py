"""`hyperband watch STUDY`: a live table of a study until it is done, then what came of it."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from heapq import nlargest
from typing import Annotated, Any

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from hyperband.api.status import is_finished, short
from hyperband.api.words import condition, since, state, status
from hyperband.backends.kubernetes.transport import Retry
from hyperband.cli.cluster import (
    DONE,
    FAILED,
    Access,
    ContextOption,
    KubeconfigOption,
    NamespaceOption,
    Session,
    StudyArgument,
    run,
)
from hyperband.cli.spent import gpu_words, spent_words
from hyperband.cli.summary import best_trial, promotes, summarize
from hyperband.cli.trials import Archives, read
from hyperband.core.records import TrialState

POLL_SECONDS = 1.0
MAX_TRIALS_SHOWN = 12
MAX_DECISIONS = 5
BAR = 30  # characters
TIMED_OUT = 3  # exit code
HEARD = 5.0  # seconds in which an operator writes a study's first status
NO_OPERATOR = (
    "no operator has taken up this study yet: is one running? (hyperband operator, make run)"
)


def watch(
    study: StudyArgument,
    namespace: NamespaceOption = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    timeout: Annotated[float, typer.Option(help="Give up after so many seconds.")] = 86400.0,
) -> None:
    """Follow a study until it is done and print the best configuration.

    Exits with 0 when the study succeeded, 1 when it failed or is not there, 3 at the timeout.
    """

    async def work(session: Session) -> int:
        return await follow(session, study, timeout)

    # An API server that is away for a while is waited for.
    run("watch", Access(kubeconfig, context, namespace), work, Retry())


async def follow(session: Session, name: str, timeout: float) -> int:
    """Shows how a study goes until it is over, then what came of it; gives the exit code."""
    console = Console()
    started, unheard = time.monotonic(), False
    deadline = started + timeout
    archives = Archives(session.client, session.namespace, name)
    with Live(console=console, refresh_per_second=4, transient=console.is_terminal) as live:
        last = ""
        while True:
            # What others wrote is shown, not obeyed.
            body = await session.shown_study(name)
            trials = await read(session.client, body, archives)
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
                return TIMED_OUT
            await asyncio.sleep(POLL_SECONDS)
    if console.is_terminal:
        console.print(view(body, trials))
    console.print(summarize(body, trials), soft_wrap=True)
    return DONE if condition(body, "Succeeded").get("status") == "True" else FAILED


def view(
    body: Mapping[str, Any],
    trials: list[dict[str, Any]],
    now: datetime | None = None,
    *,
    local: bool = False,
) -> RenderableType:
    """The whole screen: a line of counts, what is used, the ladder, what runs, what was decided.

    Args:
        local: whether trials are processes of this machine, which may do without their GPUs.
    """
    now = now or datetime.now(UTC)
    running = sum(state(trial) == "Running" for trial in trials)
    used = [] if local else [gpu_words(body, running)]
    line = ", ".join(each for each in (*used, f"{spent_words(body, now)} spent") if each)
    parts: list[RenderableType] = [Text(one_line(body, trials)), Text(line), ladder(body)]
    active = [t for t in trials if state(t) in ("Pending", "Running")]
    if active:
        parts.append(in_progress(active))
    if decided := last_decisions(trials):
        parts.append(_decisions(decided, now))
    return Group(*parts)


def last_decisions(trials: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The trials of which something was decided last, the latest first; that one runs is none."""
    told = [
        trial
        for trial in trials
        if state(trial) != "Running"
        and status(trial).get("transitionTime")
        and status(trial).get("message")
    ]
    return nlargest(MAX_DECISIONS, told, key=_decided)


def _decided(trial: Mapping[str, Any]) -> tuple[str, int]:
    return str(status(trial)["transitionTime"]), int(trial["spec"]["index"])


def _decisions(trials: list[dict[str, Any]], now: datetime) -> Table:
    table = Table(title="last decisions", title_justify="left", box=None, pad_edge=False)
    for column in ("ago", "trial", "state"):
        table.add_column(column, no_wrap=True)
    table.add_column("why")
    for trial in trials:
        known = status(trial)
        table.add_row(
            since(known["transitionTime"], now),
            trial["metadata"]["name"],
            state(trial),
            Text(known["message"], no_wrap=True, overflow="ellipsis"),
        )
    return table


def one_line(body: Mapping[str, Any], trials: list[dict[str, Any]]) -> str:
    """How a study stands, in one line, and in a second what is wrong."""
    status = body.get("status") or {}
    best = status.get("best")
    objective = body["spec"]["objective"]["metric"]
    states = Counter(state(trial) for trial in trials)
    parts = [f"{len(trials)}/{body['spec']['maxTrials']} trials"]
    parts += [f"{states[s]} {s.lower()}" for s in TrialState if states[s]]
    if promotes(body):
        parts.append(f"{status.get('promotions', 0)} promotions")
    if best:
        parts.append(f"best {objective} {best['text']} by {best_trial(best, trials)}")
    else:
        parts.append("no result yet")
    line = f"{body['metadata']['name']}: " + ", ".join(parts)
    return "\n".join((line, *_wrong(body, trials)))


def _wrong(body: Mapping[str, Any], trials: list[dict[str, Any]]) -> Iterator[str]:
    """What is wrong with a study, in lines."""
    ready = condition(body, "Ready")
    if ready.get("status") == "False":
        yield f"{ready['reason']}: {ready['message']}"
    elif not (body.get("status") or {}).get("best"):
        # Of the first one alone: a line is printed when it is new, and others may fail alike.
        failed = next((each for each in trials if state(each) == TrialState.FAILED), None)
        if failed is not None:
            yield f"{failed['metadata']['name']}: {status(failed).get('message', '')}"
    suspended = condition(body, "Suspended")
    if suspended.get("status") == "True":
        yield f"suspended: {suspended['message']}"
    message = condition(body, "Progressing").get("message", "")
    if "pods wait: " in message:
        yield "pods wait: " + message.partition("pods wait: ")[2]


def ladder(body: Mapping[str, Any]) -> Table:
    """The rungs of each bracket with their counts."""
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


def in_progress(active: list[dict[str, Any]]) -> Table:
    """Trials that hold a slot: what they do, and why."""
    table = Table(title="in progress", title_justify="left", box=None, pad_edge=False)
    for column in ("trial", "state", "to", "last value", "attempt"):
        table.add_column(column, no_wrap=True)
    table.add_column("why")  # the only one to give way on a narrow screen
    for trial in active[:MAX_TRIALS_SHOWN]:
        known = status(trial)
        latest = known.get("latest")
        # The value stands in a column of its own: of a promotion, the rank is what is left to say.
        new = f"a new configuration ({trial['spec']['suggestion']['origin']})"
        why = known.get("message", new).rpartition(": rank ")
        table.add_row(
            trial["metadata"]["name"],
            state(trial),
            f"{known['target']:g}" if "target" in known else "",
            Text(f"{latest['text']} at {latest['resource']:g}" if latest else ""),
            str(known.get("attempt", 0)),
            Text(f"rank {why[2]}" if why[1] else why[2], no_wrap=True, overflow="ellipsis"),
        )
    if len(active) > MAX_TRIALS_SHOWN:
        table.add_row(f"… and {len(active) - MAX_TRIALS_SHOWN} more")
    return table
