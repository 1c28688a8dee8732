"""`hyperband submit FILE…`: studies in files, created or brought up to date on a cluster.

By server-side apply, with a field manager of our own. Against a plain create: the same command
serves the first time and after each change of the file. Against kubectl's client-side apply: the
server merges, so that what others set (a suspend, a label) stays unless the file speaks of it,
and fields that leave the file leave the study. What the file says wins (`force`), as with kubectl.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import typer

from hyperband.api import names
from hyperband.api.files import read_documents
from hyperband.api.status import is_finished
from hyperband.api.words import condition
from hyperband.backends.kubernetes.api_errors import NotFound
from hyperband.backends.kubernetes.objects import STUDIES
from hyperband.backends.kubernetes.people import FIELD_MANAGER, is_missing_object
from hyperband.backends.kubernetes.transport import Retry
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
from hyperband.cli.validate import content_of, judge, objects, shown
from hyperband.cli.watch import follow
from hyperband.core.errors import all_printable, printable

KEPT = ("name", "namespace", "labels", "annotations")  # of metadata: the rest is the server's

Body = dict[str, Any]


def submit(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE", help="YAML files with studies; - is standard input."),
    ],
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Follow the study until it is done.")
    ] = False,
    namespace: NamespaceOption = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
) -> None:
    """Create studies, or bring them up to date with their files, as kubectl apply does.

    All files are checked first (see validate): nothing is sent if one of them is wrong. Objects of
    other kinds are left alone. With --watch, exits as watch does.
    """

    async def work(session: Session) -> int:
        bodies = [body for file in files for body in studies(file)]
        if not bodies:
            raise ToldError(f"no {names.STUDY_KIND} in {', '.join(map(shown, files))}", USAGE)
        if watch and len(bodies) > 1:
            said = f"--watch follows one study, these are {len(bodies)}: leave it out"
            raise ToldError(said, USAGE)
        places = [_place(body, namespace, session.namespace) for body in bodies]
        for body, place in zip(bodies, places, strict=True):
            typer.echo(await _apply(session, body, place))
        if watch:
            there = Session(session.client, places[0])
            return await follow(there, bodies[0]["metadata"]["name"], 86400.0)
        return DONE

    access = Access(kubeconfig, context, namespace)
    # An API server that is away for a while is waited for, if somebody watches.
    run("submit", access, work, *([Retry()] if watch else []))


def studies(file: str) -> list[Body]:
    """The studies in a file, as they are to be applied.

    Raises:
        ToldError: it cannot be read, or something is wrong with one; each problem has its line.
    """
    try:
        content = content_of(file)
    except OSError as error:
        raise ToldError(f"{shown(file)}: {error.strerror}: name a file, or -", USAGE) from error
    problems = [problem for verdict in judge(content, shown(file)) for problem in verdict.problems]
    if problems:
        lines = [
            f"{shown(file)}:{each.line}: {each.field}{each.field and ': '}{each.problem}"
            for each in problems
        ]
        raise ToldError("nothing was sent, as there is something to mend:\n" + "\n".join(lines))
    return list(_wanted(read_documents(content, shown(file)), file))


def _wanted(documents: Sequence[Any], file: str) -> Iterator[Body]:
    for document in documents:
        for _, body in objects(document.content, ""):
            if body["kind"] != names.STUDY_KIND:
                said = f"{body['kind']} is left alone: kubectl apply takes it"
                typer.echo(f"{shown(file)}: {printable(said)}", err=True)
                continue
            if not body["metadata"].get("name"):
                raise ToldError(f"{shown(file)}: metadata.name is missing: give the study a name")
            yield {
                "apiVersion": names.API_VERSION,
                "kind": names.STUDY_KIND,
                "metadata": {k: body["metadata"][k] for k in KEPT if k in body["metadata"]},
                "spec": body["spec"],
            }


def _place(body: Mapping[str, Any], wanted: str | None, default: str) -> str:
    """The namespace of a study: that of its file, else that of the flags or the context."""
    own = body["metadata"].get("namespace")
    if own and wanted and own != wanted:
        name = body["metadata"]["name"]
        raise ToldError(f"study {name} is of namespace {own}, not {wanted}: leave out -n", USAGE)
    return str(own or default)


async def _apply(session: Session, body: Body, namespace: str) -> str:
    """Applies a study and tells what has come of it."""
    name = body["metadata"]["name"]
    before: Body | None = None
    try:
        before = await session.client.get(STUDIES, namespace, name, dict)
    except NotFound as error:
        if not is_missing_object(error):
            raise
    after: Body = await session.client.apply(
        STUDIES, namespace, name, body, dict, field_manager=FIELD_MANAGER
    )
    return told(name, before, all_printable(after), namespace)


def told(name: str, before: Body | None, after: Body, namespace: str) -> str:
    """What has become of a study, in a line."""
    if before is None:
        return f"study {name} created in namespace {namespace}: hyperband watch {name}"
    same = before["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"]
    line = f"study {name} {'unchanged' if same else 'configured'} in namespace {namespace}"
    if is_finished(after.get("status") or {}):
        reason = condition(after, "Finished").get("reason", "")
        return f"{line}; it is finished ({reason}) and stays so: give another name to run it anew"
    if after["spec"].get("suspend"):
        return f"{line}; it is suspended: hyperband resume {name}"
    return line
