"""`hyperband suspend`, `resume` and `stop`: a person's word on a study, as a change of its spec."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import typer

from hyperband.api.status import is_finished
from hyperband.api.words import condition
from hyperband.backends.kubernetes.objects import STUDIES
from hyperband.cli.cluster import (
    DONE,
    FAILED,
    FIELD_MANAGER,
    Access,
    ContextOption,
    KubeconfigOption,
    NamespaceOption,
    Session,
    StudyArgument,
    run,
)


@dataclass(frozen=True, slots=True)
class Word:
    """What is said to a study: a field of its spec, and what comes of it, in words."""

    verb: str
    field: str
    value: bool
    already: str
    then: str


SUSPEND = Word(
    "suspend",
    "suspend",
    True,
    "is suspended already",
    "is being suspended: its pods end within their grace period, nothing new starts, and no retry "
    "is used; hyperband resume {name} goes on from the checkpoints",
)
RESUME = Word(
    "resume",
    "suspend",
    False,
    "is not suspended",
    "goes on: trials that were interrupted are repeated from their checkpoints",
)
STOP = Word(
    "stop",
    "stop",
    True,
    "is being stopped already",
    "is being stopped for good: its pods end within their grace period, and its best stays "
    "(hyperband best {name}); another study may start warm from it",
)


def suspend(
    study: StudyArgument,
    namespace: NamespaceOption = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
) -> None:
    """Let a study pause: its pods end, nothing is lost, resume goes on."""
    _say(SUSPEND, study, Access(kubeconfig, context, namespace))


def resume(
    study: StudyArgument,
    namespace: NamespaceOption = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
) -> None:
    """Let a suspended study go on."""
    _say(RESUME, study, Access(kubeconfig, context, namespace))


def stop(
    study: StudyArgument,
    namespace: NamespaceOption = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
) -> None:
    """End a study for good, with what it has found; this cannot be undone."""
    _say(STOP, study, Access(kubeconfig, context, namespace))


def _say(word: Word, name: str, access: Access) -> None:
    async def work(session: Session) -> int:
        body = await session.shown_study(name)
        refused = obstacle(word, body)
        if refused:
            typer.echo(f"hyperband {word.verb}: {refused}", err=True)
            return FAILED
        if is_finished(body.get("status") or {}):
            typer.echo(f"study {name} is finished already ({_end(body)})")
        elif bool(body["spec"].get(word.field)) == word.value:
            typer.echo(f"study {name} {word.already}")
        else:
            change = {"spec": {word.field: word.value}}
            await session.client.patch(
                STUDIES, session.namespace, name, change, dict, field_manager=FIELD_MANAGER
            )
            typer.echo(f"study {name} {word.then.format(name=name)}")
        return DONE

    run(word.verb, access, work)


def obstacle(word: Word, body: Mapping[str, Any]) -> str:
    """Why a study cannot do as it is told; empty if it can."""
    name = body["metadata"]["name"]
    if word is STOP:
        return ""
    if is_finished(body.get("status") or {}):
        mend = "it stays so; submit a study of another name, warmStart takes over what it found"
        return f"study {name} is finished ({_end(body)}): {mend}"
    if word is RESUME and body["spec"].get("stop"):
        return f"study {name} is being stopped, which cannot be undone: submit another one"
    return ""


def _end(body: Mapping[str, Any]) -> str:
    finished = condition(body, "Finished")
    return f"{finished.get('reason', '')}: {finished.get('message', '')}"
