"""`hyperband list`: all studies, one a line."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from hyperband.api.words import since, status_word
from hyperband.backends.kubernetes.objects import STUDIES
from hyperband.cli.cluster import (
    DONE,
    Access,
    ContextOption,
    KubeconfigOption,
    NamespaceOption,
    Session,
    run,
)
from hyperband.cli.local_runs import RunsOption, local_studies, tell_locally
from hyperband.cli.output import Output, OutputOption, write
from hyperband.cli.tables import console, table
from hyperband.core.errors import all_printable

WIDE = 200  # names may have 63 and 40 characters
RIGHT = ("TRIALS", "RUNNING", "BEST", "AGE")
COLUMNS = ("NAME", "MODE", "SEARCHER", "STATUS", *RIGHT)


def list_studies(
    namespace: NamespaceOption = None,
    all_namespaces: Annotated[
        bool, typer.Option("--all-namespaces", "-A", help="Those of all namespaces.")
    ] = False,
    output: OutputOption = Output.TABLE,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    dir: RunsOption = None,
) -> None:
    """List studies: how each searches, how it stands, and its best value so far."""

    async def work(session: Session) -> int:
        where = None if all_namespaces else session.namespace
        pages = session.client.pages(STUDIES, dict, where)
        bodies = [all_printable(body) async for page in pages for body in page.items]
        there = "in any namespace" if where is None else f"in namespace {where}"
        more = "" if where is None else "; -A lists those of all namespaces"
        return tell(bodies, f"There is no study {there}{more}.")

    def tell(bodies: Sequence[Mapping[str, Any]], none: str = "") -> int:
        rows = sorted((row(body) for body in bodies), key=lambda r: (r["namespace"], r["name"]))
        if output is not Output.TABLE:
            write(rows, output)
        elif rows:
            now = datetime.now(UTC)
            columns = ("NAMESPACE", *COLUMNS) if all_namespaces else COLUMNS
            cells = [(each["namespace"], *_cells(each, now)) for each in rows]
            shown = cells if all_namespaces else [each[1:] for each in cells]
            console(WIDE).print(table(columns, shown, right=RIGHT))
        else:
            typer.echo(none, err=True)
        return DONE

    if dir is not None:
        tell_locally("list", lambda: tell(local_studies(dir)))

    run("list", Access(kubeconfig, context, namespace), work)


def row(body: Mapping[str, Any]) -> dict[str, Any]:
    """What is told of a study in one line, for scripts."""
    metadata, spec, status = body["metadata"], body["spec"], body.get("status") or {}
    counts = status.get("trials") or {}
    best = status.get("best") or {}
    return {
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "mode": (spec.get("hyperband") or {}).get("mode", "Promotion"),
        "searcher": (spec.get("searcher") or {}).get("type", "Random"),
        "status": status_word(body),
        "trials": counts.get("total", 0),
        "maxTrials": spec["maxTrials"],
        "running": counts.get("running", 0),
        "best": best.get("value"),
        "bestText": best.get("text"),
        "created": metadata.get("creationTimestamp"),
    }


def _cells(given: Mapping[str, Any], now: datetime) -> tuple[Any, ...]:
    return (
        *(given[key] for key in ("name", "mode", "searcher", "status")),
        f"{given['trials']}/{given['maxTrials']}",
        given["running"],
        given["bestText"],
        since(given["created"], now),
    )
