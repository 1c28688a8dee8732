"""The finished studies that a study starts warm from: waited for, and read once.

Only the trials of a finished study change no more, so that whoever reads them again, as a new
operator does, has the same values. Their uids are in the status before the first trial is made.
"""

import logging
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, Final

from hyperband.api.status import WAITING, Blocked, is_finished
from hyperband.api.study import StudyResource
from hyperband.api.warm_start import (
    MAX_VALUES,
    Found,
    Inheritance,
    check_comparable,
    find,
    inherit,
    warm_start_status,
)
from hyperband.backends.kubernetes.api_errors import NotFound
from hyperband.backends.kubernetes.archives import read_trials
from hyperband.backends.kubernetes.client import Client
from hyperband.backends.kubernetes.objects import STUDIES
from hyperband.backends.kubernetes.recorder import Recorder
from hyperband.core.searchers import SEARCHERS
from hyperband.core.space import Space

log = logging.getLogger(__name__)

MAX_FOLLOWED: Final = 100  # studies that are looked at for a circle of waiting


class EarlierStudies:
    """What one study has from those before it."""

    def __init__(self, client: Client, recorder: Recorder) -> None:
        self._client, self._recorder = client, recorder
        self._inherited: tuple[Inheritance, ...] | None = None
        self._followed: Collection[str] = ()  # names of studies

    def depends_on(self, name: str) -> bool:
        """Whether `read` has met that study among those that this one waits for, near or far."""
        return name in self._followed

    @property
    def status(self) -> dict[str, Any] | None:
        """For `status.warmStart`, once they are read."""
        return warm_start_status(self._inherited) if self._inherited else None

    def added_to(self, study: StudyResource) -> StudyResource:
        """The study with the trials of the earlier ones, as far as they are read."""
        trials = [trial for each in self._inherited or () for trial in each.trials]
        return replace(study, study=replace(study.study, earlier=tuple(trials)))

    async def read(self, study: StudyResource, status: Mapping[str, Any]) -> Blocked | None:
        """Reads the earlier studies, unless it has before; or says what has to be waited for.

        Args:
            status: of this study. Where it lists the earlier studies, trials may have been made
                from them; what is gone since then is done without.

        Raises:
            InvalidStudyError: one of them cannot be compared with this study.
            KubernetesError: they cannot be read now.
        """
        if self._inherited is not None:
            return None
        before = {row["name"]: row for row in status.get("warmStart", {}).get("studies", ())}
        objects = [await self._get(study.namespace, name) for name in study.warm_start]
        if not before:
            blocked = await self._check(study, objects)
            if blocked is not None:
                return blocked
        inherited = []
        for name, body in zip(study.warm_start, objects, strict=True):
            uid = before[name]["uid"] if name in before else ""
            if body is None or uid not in ("", body["metadata"]["uid"]):
                inherited.append(Inheritance(name, uid, gone=True))
            else:
                inherited.append(await self._inherit(study, name, body["metadata"]["uid"]))
        self._announce(study, inherited, before)
        self._inherited = tuple(inherited)
        return None

    async def _check(
        self, study: StudyResource, objects: list[dict[str, Any] | None]
    ) -> Blocked | None:
        """Whether all are there, comparable and finished."""
        missing: list[str] = []
        unfinished: dict[str, dict[str, Any]] = {}
        for position, (name, body) in enumerate(zip(study.warm_start, objects, strict=True)):
            if body is None:
                missing.append(name)
                continue
            check_comparable(study, position, body)
            if not is_finished(body.get("status") or {}):
                unfinished[name] = body
        circle = await self._circle(study, unfinished)
        waiting = [name for name in unfinished if name not in circle]
        parts = []
        if waiting:
            parts.append(f"waits until {_list(waiting)} finished")
        if missing:
            parts.append(
                f"there is no study {' or '.join(missing)} in this namespace: apply it, or create "
                "this one anew with other names in spec.warmStart.fromStudies"
            )
        if circle:
            parts.append(
                f"{' -> '.join(circle)} is a circle, in which each waits for the next: delete one "
                "of them"
            )
        return Blocked(WAITING, "; ".join(parts)) if parts else None

    async def _circle(
        self, study: StudyResource, unfinished: Mapping[str, dict[str, Any]]
    ) -> list[str]:
        """The shortest way from this study over unfinished ones back to it, or nothing."""
        ways = {name: [study.name, name] for name in unfinished}
        self._followed = ways  # from now on: what changes while they are read is not missed
        circle: list[str] = []
        left = deque(unfinished.items())
        while left and not circle:
            name, body = left.popleft()
            for further in (body["spec"].get("warmStart") or {}).get("fromStudies", ()):
                if further == study.name:
                    circle = [*ways[name], further]
                elif further not in ways and len(ways) < MAX_FOLLOWED:
                    ways[further] = [*ways[name], further]
                    other = await self._get(study.namespace, further)
                    if other is not None and not is_finished(other.get("status") or {}):
                        left.append((further, other))
        return circle

    async def _get(self, namespace: str, name: str) -> dict[str, Any] | None:
        """The study, or None if there is none, or not for long any more."""
        try:
            body = await self._client.get(STUDIES, namespace, name, dict)
        except NotFound:
            return None
        return None if body["metadata"].get("deletionTimestamp") else body

    async def _inherit(self, study: StudyResource, name: str, uid: str) -> Inheritance:
        most = MAX_VALUES // len(study.warm_start)
        learns = SEARCHERS[study.study.searcher].learns
        return inherit(name, uid, await self._find(study, name, uid), most, learns)

    async def _find(self, study: StudyResource, name: str, uid: str) -> list[Found]:
        space: Space = study.study.space
        found: list[Found] = []
        async for items in read_trials(self._client, study.namespace, name, uid):
            found += find(name, items, space)
        return found

    def _announce(
        self,
        study: StudyResource,
        inherited: list[Inheritance],
        before: Mapping[str, Mapping[str, Any]],
    ) -> None:
        for each in inherited:
            log.info("%s/%s: %s %s", study.namespace, study.name, each.study, each.message)
        if inherited and not before:
            text = "; ".join(f"from {each.study}: {each.message}" for each in inherited)
            nothing = not any(each.trials for each in inherited)
            self._recorder.note("WarmStarted", f"warm start {text}", warning=nothing)
        lost = [e.study for e in inherited if e.gone and not before.get(e.study, {}).get("gone")]
        if lost:
            self._recorder.note(
                "EarlierStudyGone",
                f"{', '.join(lost)}: deleted after this study had started from it; goes on without "
                "its values, so suggestions are not what they would have been",
                warning=True,
            )


def _list(studies: list[str]) -> str:
    return f"{' and '.join(studies)} {'is' if len(studies) == 1 else 'are'}"
