"""`hyperband logs TRIAL`: what the training of a trial has written, of its last pod or another."""

import codecs
import sys
import time
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, Any

import typer

from hyperband.api import names
from hyperband.api.words import status
from hyperband.backends.kubernetes.api_errors import ApiError, NotFound
from hyperband.backends.kubernetes.objects import PODS
from hyperband.backends.kubernetes.people import is_missing_object
from hyperband.cli.cluster import (
    DONE,
    USAGE,
    Access,
    ContextOption,
    KubeconfigOption,
    NamespaceOption,
    Session,
    ToldError,
    TrialArgument,
    run,
)
from hyperband.cli.local_runs import DirOption, local_trial, read_locally
from hyperband.cli.trials import find
from hyperband.core.errors import printable

CHUNK = 65536  # bytes
POLL_SECONDS = 0.2


def logs(
    trial: TrialArgument,
    attempt: Annotated[
        int | None, typer.Option(min=0, help="Of this attempt; default: the last one.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as more comes.")] = False,
    container: Annotated[
        str | None, typer.Option("--container", "-c", help="Default: the one that trains.")
    ] = None,
    namespace: NamespaceOption = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    dir: DirOption = None,
) -> None:
    """Show the log of a trial's pod: the one that runs, or the last one.

    On a terminal control characters are made visible; a file or a pipe gets every byte as it is.
    """

    async def work(session: Session) -> int:
        _, found = await find(session, trial)
        pod = await _pod(session, found, attempt)
        chosen = container or _training(pod)
        name = pod["metadata"]["name"]
        chunks = session.client.log(session.namespace, name, container=chosen, follow=follow)
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        try:
            async with aclosing(chunks):
                async for chunk in chunks:
                    _show(chunk, decoder)
        except ApiError as error:
            if error.status == 400:  # no such container, or it has not started
                known = ", ".join(_containers(pod))
                mend = (
                    f"its containers are {known}; hyperband explain {trial} tells what it waits for"
                )
                raise ToldError(f"pod {name}: {error.message}: {mend}", USAGE) from error
            raise
        return DONE

    def look(body: dict[str, Any], trials: list[dict[str, Any]]) -> int:
        if container is not None:
            said = f"--container {container}: a run on a machine has none: leave it out"
            raise ToldError(said, USAGE)
        _show_file(_log_of(Path(str(dir)), local_trial(body, trials, trial), attempt), follow)
        return DONE

    if dir is not None:
        read_locally("logs", dir, trial.rpartition("-")[0], look)
    run("logs", Access(kubeconfig, context, namespace), work)


def _log_of(folder: Path, trial: dict[str, Any], attempt: int | None) -> Path:
    """The log of an attempt of a run; by default of the last one that has begun.

    Raises:
        ToldError: there is none.
    """
    # Here, as only a run of a machine has it.
    from hyperband.backends.local.keeper import LOG

    own, name = folder / "trials" / str(trial["spec"]["index"]), trial["metadata"]["name"]
    last = int(status(trial).get("attempt", 0))
    for number in [attempt] if attempt is not None else range(last, -1, -1):
        if (path := own / f"attempt-{number}" / LOG).exists():
            return path
    if attempt is None:
        raise ToldError(f"trial {name} has not begun: hyperband explain {name} tells why")
    raise ToldError(f"trial {name} has no attempt {attempt}: its last one is {last}")


def _show_file(path: Path, follow: bool) -> None:
    """Shows a log; with follow until its training has ended, or nothing is left that would say."""
    from hyperband.backends.local.attempts import LOCK, is_kept

    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    with path.open("rb") as log, (path.parent / LOCK).open("rb") as lock:
        while True:
            over = not follow or not is_kept(lock.fileno())  # before its last lines are read
            while chunk := log.read(CHUNK):
                _show(chunk, decoder)
            if over:
                return
            time.sleep(POLL_SECONDS)


def _show(chunk: bytes, decoder: codecs.IncrementalDecoder) -> None:
    if sys.stdout.isatty():
        text = decoder.decode(chunk).replace("\r\n", "\n").replace("\r", "\n")
        sys.stdout.write(printable(text))
    else:
        sys.stdout.buffer.write(chunk)
    sys.stdout.flush()


async def _pod(session: Session, trial: dict[str, Any], attempt: int | None) -> dict[str, Any]:
    """The pod of an attempt; by default of the last one that has had a pod.

    Raises:
        ToldError: there is none, or none any more.
    """
    name, known = trial["metadata"]["name"], status(trial)
    last = int(known.get("attempt", 0))
    if attempt is not None and attempt > last:
        raise ToldError(f"trial {name} has no attempt {attempt}: its last one is {last}")
    # An attempt that is due has no pod yet: the one before it is what has run last.
    candidates = [attempt] if attempt is not None else [last, last - 1]
    study, index = name.rpartition("-")[0], int(trial["spec"]["index"])
    for number in (each for each in candidates if each >= 0):
        try:
            found: dict[str, Any] = await session.client.get(
                PODS, session.namespace, names.pod_name(study, index, number), dict
            )
        except NotFound as error:
            if not is_missing_object(error):
                raise
            continue
        owners = found["metadata"].get("ownerReferences") or []
        if any(owner.get("uid") == trial["metadata"]["uid"] for owner in owners):
            return found
    raise ToldError(_gone(trial, last if attempt is None else attempt))


def _gone(trial: dict[str, Any], attempt: int) -> str:
    """That a pod is not there, with what is still known of its attempt."""
    name, known = trial["metadata"]["name"], status(trial)
    record = next((a for a in known.get("attempts") or [] if a["number"] == attempt), None)
    if record is None and known.get("state", "Pending") == "Pending":
        return f"trial {name} has no pod yet: hyperband explain {name} tells what it waits for"
    said = ""
    if record is not None and record.get("outcome"):
        said = f" (it ended {record['outcome']}: {record.get('reason', '')})"
    return (
        f"the pod of attempt {attempt} of trial {name} is gone{said}, and its log with it: "
        "spec.retention says how long pods are kept; hyperband explain tells what is recorded"
    )


def _containers(pod: dict[str, Any]) -> list[str]:
    spec = pod["spec"]
    return [
        each["name"] for key in ("containers", "initContainers") for each in spec.get(key) or []
    ]


def _training(pod: dict[str, Any]) -> str:
    annotations = pod["metadata"].get("annotations") or {}
    default: str = annotations.get(names.CONTAINER_ANNOTATION) or _containers(pod)[0]
    return default
