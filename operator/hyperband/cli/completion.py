"""Names of studies and trials for a shell's Tab: soon, and silent where something is wrong."""

import asyncio
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import typer

SECONDS: Final = 2.0  # that a person waits for
MOST: Final = 100  # names of one study's trials


def complete_studies(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of studies that begin so."""
    return [name for name, _ in _studies(ctx) if name.startswith(incomplete)]


def complete_trials(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of trials that begin so, some of each study; how many it has is in its status."""
    return [name for study in _studies(ctx) for name in _trials(*study, incomplete)]


def _trials(study: str, total: int, incomplete: str) -> Iterator[str]:
    """A study may have ten thousand: none is asked for."""
    if not f"{study}-".startswith(incomplete) and not incomplete.startswith(f"{study}-"):
        return
    left = MOST
    for index in range(total):
        if (name := f"{study}-{index}").startswith(incomplete):
            yield name
            left -= 1
            if not left:
                return


def _studies(ctx: typer.Context) -> list[tuple[str, int]]:
    """Each study's name, and how many trials it has."""
    logging.disable(logging.CRITICAL)
    given = ctx.params
    try:
        bodies = _local(Path(given["dir"])) if given.get("dir") else _of_cluster(given)
        return sorted((body["metadata"]["name"], _total(body)) for body in bodies)
    except (Exception, typer.Exit):  # whatever it is: the verb itself will tell
        return []
    finally:
        logging.disable(logging.NOTSET)


def _total(body: Mapping[str, Any]) -> int:
    return int(((body.get("status") or {}).get("trials") or {}).get("total", 0))


def _local(folder: Path) -> list[dict[str, Any]]:
    from hyperband.cli.local_runs import local_studies

    return local_studies(folder)


def _of_cluster(given: Mapping[str, Any]) -> list[dict[str, Any]]:
    # Here, as these load a client, and what has a study for an argument is loaded by them.
    from hyperband.backends.kubernetes.objects import STUDIES
    from hyperband.backends.kubernetes.transport import Retry
    from hyperband.cli.cluster import Access, Session, ask
    from hyperband.core.errors import all_printable

    found: list[dict[str, Any]] = []

    async def work(session: Session) -> int:
        async with asyncio.timeout(SECONDS):
            async for page in session.client.pages(STUDIES, dict, session.namespace):
                found.extend(all_printable(body) for body in page.items)
        return 0

    access = Access(given.get("kubeconfig"), given.get("context"), given.get("namespace"))
    ask(access, work, Retry(attempts=1, total=SECONDS))
    return found
