"""A study's trials, archived or not, as verbs read them."""

from collections.abc import Mapping
from typing import Any

from hyperband.api import names
from hyperband.backends.kubernetes.archives import ArchiveReader
from hyperband.backends.kubernetes.client import Client
from hyperband.backends.kubernetes.objects import TRIALS
from hyperband.cli.cluster import USAGE, Session, ToldError
from hyperband.core.errors import all_printable, printable

Trial = dict[str, Any]
Archives = ArchiveReader[Trial]


async def read(
    client: Client, body: Mapping[str, Any], archives: Archives | None = None
) -> list[Trial]:
    """All trials of a study by index, archived or not, printable; the latter without their curves.

    Args:
        body: the study.
        archives: what is known of them from an earlier reading; each is fetched once.
    """
    metadata = body["metadata"]
    namespace, study, uid = metadata["namespace"], metadata["name"], metadata["uid"]
    selector = f"{names.STUDY_LABEL}={study}"
    pages = client.pages(TRIALS, dict, namespace, label_selector=selector)
    # Labels may be forged: a trial is the study's own by its owner.
    trials = [item async for page in pages for item in page.items if is_owned(item, uid)]
    archives = archives or Archives(client, namespace, study)
    archived = await archives.read(uid, _without_curve)
    there = {trial["spec"]["index"]: trial for trial in trials}
    found = there | archived | {i: t for i, t in there.items() if t.get("status")}
    return [all_printable(found[index]) for index in sorted(found)]


def is_owned(trial: Mapping[str, Any], uid: str) -> bool:
    """Whether the study of that uid controls the trial's object."""
    owners = trial["metadata"].get("ownerReferences") or []
    return any(owner.get("controller") and owner.get("uid") == uid for owner in owners)


def _without_curve(trial: Trial) -> Trial:
    trial["status"].pop("curve", None)
    return trial


def study_of(trial: str) -> tuple[str, int]:
    """The study and the index that a trial's name is made of.

    Raises:
        ValueError: it is no such name.
    """
    study, dash, index = trial.rpartition("-")
    if not (study and dash and index.isdecimal() and index.isascii()):
        raise ValueError(trial)
    return study, int(index)


async def find(session: Session, name: str) -> tuple[dict[str, Any], Trial]:
    """A trial by its name, and its study; from the archives if its object is gone.

    Raises:
        ToldError: one of them is not there.
    """
    try:
        study_name, index = study_of(name)
    except ValueError:
        said = f"'{printable(name)}' is no trial's name: give it as digits-7, study and index"
        raise ToldError(said, USAGE) from None
    body = await session.shown_study(study_name)
    uid = body["metadata"]["uid"]
    trial = await session.trial_object(name)
    if trial is None or not is_owned(trial, uid) or not trial.get("status"):
        archived = await Archives(session.client, session.namespace, study_name).read(uid, dict)
        trial = archived.get(index) or (trial if trial and is_owned(trial, uid) else None)
    if trial is None:
        total = ((body.get("status") or {}).get("trials") or {}).get("total", 0)
        raise ToldError(f"study {study_name} has no trial {index}: there are {total} trials")
    shown: Trial = all_printable(trial)
    return body, shown
