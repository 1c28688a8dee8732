"""`hyperband suspend`, `resume` and `stop`: a person's word on a study, as a change of its spec."""

import typer

from hyperband.api.orders import RESUME, STOP, SUSPEND, Word, end_of, obstacle
from hyperband.api.status import is_finished
from hyperband.backends.kubernetes.objects import STUDIES
from hyperband.backends.kubernetes.people import FIELD_MANAGER
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
            typer.echo(f"study {name} is finished already ({end_of(body)})")
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
