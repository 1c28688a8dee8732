"""`hyperband compare STUDY…`: studies beside one another, by what they have found and spent."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from hyperband.api.status import short
from hyperband.api.words import number, span
from hyperband.cli.cluster import (
    DONE,
    USAGE,
    Access,
    ContextOption,
    KubeconfigOption,
    NamespaceOption,
    Session,
    ToldError,
    run,
)
from hyperband.cli.completion import complete_studies
from hyperband.cli.list_studies import row
from hyperband.cli.local_runs import RunsOption, local_studies, tell_locally
from hyperband.cli.output import Output, OutputOption, write
from hyperband.cli.spent import spent
from hyperband.cli.tables import console, table
from hyperband.core.errors import printable

Body = Mapping[str, Any]


def compare(
    studies: Annotated[
        list[str],
        typer.Argument(metavar="STUDY", help="Names of studies.", autocompletion=complete_studies),
    ],
    namespace: NamespaceOption = None,
    output: OutputOption = Output.TABLE,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    dir: RunsOption = None,
) -> None:
    """Compare studies of a namespace: best value and its parameters, and what each has spent.

    Studies of one metric and goal are put in order, the best first.
    """

    async def work(session: Session) -> int:
        wanted = dict.fromkeys(studies)  # each once
        return tell(await asyncio.gather(*(session.shown_study(name) for name in wanted)))

    def tell(bodies: Sequence[Body]) -> int:
        now, alike = datetime.now(UTC), comparable(bodies)
        rows = [compared(body, now) for body in bodies]
        if alike:
            rows.sort(key=_place)
        if output is Output.TABLE:
            console().print(page(rows, alike))
        else:
            write({"comparable": alike, "studies": rows}, output)
        return DONE

    if dir is not None:
        tell_locally("compare", lambda: tell(_named(studies, local_studies(dir), dir)))
    run("compare", Access(kubeconfig, context, namespace), work)


def _named(names: Sequence[str], bodies: Sequence[Body], folder: Path) -> list[Body]:
    """Those of these names, each once."""
    there = {body["metadata"]["name"]: body for body in bodies}
    for name in names:
        if name not in there:
            said = f"{folder} has no run of study '{printable(name)}': it has {', '.join(there)}"
            raise ToldError(said, USAGE)
    return [there[name] for name in dict.fromkeys(names)]


def comparable(bodies: Sequence[Body]) -> bool:
    """Whether all have one metric and goal."""
    return len({_objective(body) for body in bodies}) == 1


def _objective(body: Body) -> tuple[str, str]:
    objective = body["spec"]["objective"]
    return objective["metric"], objective.get("goal", "Minimize")


def compared(body: Body, now: datetime) -> dict[str, Any]:
    """What a study is compared by."""
    status, (metric, goal) = body.get("status") or {}, _objective(body)
    best = status.get("best") or {}
    return {
        **row(body),
        "metric": metric,
        "goal": goal,
        "bestTrial": best.get("trial"),
        "bestResource": best.get("resource"),
        "bestParameters": best.get("parameters"),
        "resource": body["spec"]["resource"]["name"],
        "promotions": status.get("promotions", 0),
        **{key: value for key, value in spent(body, now).items() if key != "budget"},
    }


def _place(given: Body) -> tuple[bool, float]:
    """Those without a result are last."""
    value = given["best"]
    if value is None:
        return True, 0.0
    return False, value if given["goal"] == "Minimize" else -value


def page(rows: Sequence[Body], alike: bool) -> RenderableType:
    """A column a study: how it stands, what it has spent, and the parameters of its best."""
    said = f"{rows[0]['goal']} {rows[0]['metric']}" + (", the best first" if rows[1:] else "")
    if not alike:
        each = "; ".join(f"{r['name']}: {r['goal']} {r['metric']}" for r in rows)
        said = f"These studies have different objectives: {each}"
    cells = [_cells(each) for each in rows]
    lines = [(name, *(each[name] for each in cells)) for name in cells[0]]
    found = [each["bestParameters"] or {} for each in rows]
    names = dict.fromkeys(name for each in found for name in each)
    lines += [(f"  {name}", *(number(each.get(name, "")) for each in found)) for name in names]
    columns = ("", *(each["name"] for each in rows))
    return Group(Text(said, style="bold"), table(columns, lines))


def _cells(given: Body) -> dict[str, Any]:
    best, resource = given["best"], given["resource"]
    return {
        **{key: given[key] for key in ("status", "mode", "searcher")},
        "trials": f"{given['trials']} of {given['maxTrials']}",
        "GPU-hours": number(given["gpuHours"]),
        "time": span(given["seconds"]),
        "trained": f"{number(given['resourceUnits'])} {resource}",
        "best": "" if best is None else short(best),
        "at": "" if best is None else f"{given['bestResource']:g} {resource}",
        "trial": given["bestTrial"],
    }
