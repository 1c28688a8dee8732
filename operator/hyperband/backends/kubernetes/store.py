"""A study's trials: reading them back, and writing decisions into their objects.

Every write carries the resourceVersion that the decision was made on. Whoever wrote in between
makes it a Conflict, and the study's task then reads everything again and decides again.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from fractions import Fraction
from typing import Any

from hyperband.api import names
from hyperband.api.metrics import NO_REPORTS, Reports
from hyperband.api.study import StudyResource
from hyperband.api.trial import (
    AttemptRecord,
    TrialResource,
    parse_trial,
    trial_manifest,
    trial_status,
)
from hyperband.backends.kubernetes.api_errors import (
    AlreadyExists,
    Conflict,
    NotFound,
    ServerError,
    UnknownOutcome,
    Unreachable,
)
from hyperband.backends.kubernetes.archives import ArchiveReader, as_object, owns, trial_pages
from hyperband.backends.kubernetes.client import Client
from hyperband.backends.kubernetes.hands import HANDS, for_each
from hyperband.backends.kubernetes.objects import TRIALS, CustomObject
from hyperband.core.decisions import Action, Decision
from hyperband.core.engine import Engine
from hyperband.core.records import Trial

BREATH = 500  # trials taken in before others on the event loop have a turn


class ForeignObjectError(Exception):
    """An object that is not ours has the name that ours needs; it is never touched."""


class UnreadableTrialError(Exception):
    """A trial's record does not make sense, because somebody has edited it."""


class Totals:
    """What trials have spent, as running sums: exact, so that neither order nor restarts matter."""

    def __init__(self, study: StudyResource) -> None:
        self._units = Engine(study.study).resource_units
        self._gpu_seconds = self._resource_units = Fraction()

    def add(self, resource: TrialResource, sign: int = 1) -> None:
        """Counts a trial; with sign -1, takes it back."""
        self._gpu_seconds += sign * Fraction(resource.gpu_seconds)
        if resource.curve:
            units = self._units(resource.trial, resource.curve[-1].resource)
            self._resource_units += sign * Fraction(units)

    @property
    def gpu_seconds(self) -> float:
        """As far as the accounts of attempts are closed."""
        return float(self._gpu_seconds)

    @property
    def resource_units(self) -> float:
        """Repetitions after disruptions left out."""
        return float(self._resource_units)


class TrialStore:
    """The trials of one study, as last written or read.

    Args:
        attempt_ended: told of each account of an attempt that is closed, once it is written.
        doubt: told where a record may have been written, or not.

    Attributes:
        study: what they belong to.
        archives: reads those that are folded.
        resources: the others, by index: each has an object.
        uids: of the objects of these.
        leftovers: objects, by index, whose very records are archived: still to be deleted.
        totals: over all of them.
    """

    def __init__(
        self,
        client: Client,
        study: StudyResource,
        archives: ArchiveReader[TrialResource],
        now: Callable[[], datetime],
        attempt_ended: Callable[[AttemptRecord], None] = lambda attempt: None,
        doubt: Callable[[], None] = lambda: None,
    ) -> None:
        self._client, self.study, self._now = client, study, now
        self._attempt_ended, self._doubt = attempt_ended, doubt
        self.archives = archives
        self.resources: dict[int, TrialResource] = {}
        self.uids: dict[str, None] = {}  # a set in order
        self.leftovers: dict[int, TrialResource] = {}
        self.totals = Totals(study)
        self._read_time: datetime | None = None

    async def load(self) -> Engine:
        """Reads all trials of the study and rebuilds its engine from them.

        Raises:
            UnreadableTrialError: one of them makes no sense.
            UnreadableArchiveError: an archive makes no sense.
        """
        study = self.study
        engine = Engine(study.study)
        place = (self._client, study.namespace, study.name, study.uid)
        found = [item async for items in trial_pages(*place) for item in items]
        trials = await self.archives.read(study.uid, lambda body: _parse_archived(body, engine))
        self.resources, self.leftovers = {}, {}
        self.totals = Totals(study)
        for item in found:
            with _named_if_unreadable(item.metadata.name):
                resource = parse_trial(item, engine)
            index = resource.trial.index
            if index in trials and adds_nothing(item, trials[index]):
                self.leftovers[index] = resource
            else:  # where both are there and differ, the object is the one that has been written
                self.resources[index] = trials[index] = resource
        self.uids = dict.fromkeys(resource.uid for resource in self.resources.values())
        for count, (_, resource) in enumerate(sorted(trials.items())):
            with _named_if_unreadable(resource.name):
                engine.put(resource.trial)
            self.totals.add(resource)
            if count % BREATH == BREATH - 1:
                await asyncio.sleep(0)
        return engine

    def has_any(self, uids: Iterable[str]) -> bool:
        """Whether one of these trial objects and archives was read."""
        return any(uid in self.uids or uid in self.archives for uid in uids)

    def set_aside(self, indices: Iterable[int]) -> None:
        """Takes note that these trials are archived as they are."""
        for index in indices:
            self.leftovers[index] = self.resources.pop(index)
            del self.uids[self.leftovers[index].uid]

    def _keep(self, resource: TrialResource) -> None:
        """Takes in what is written in a trial's object."""
        index = resource.trial.index
        if index in self.resources:
            self.totals.add(self.resources[index], -1)
        self.totals.add(resource)
        self.resources[index] = resource
        self.uids[resource.uid] = None

    async def take_over(self, indices: Iterable[int]) -> None:
        """Writes into the records of these trials that all records have been read anew.

        Whatever was on its way to one of them before, from an operator that is no more or from a
        try of our own, comes to a Conflict from now on. Its value would else have a sequence number
        that another trial's is given meanwhile.

        Raises:
            Conflict: something has arrived since they were read.
            UnknownOutcome: one of them may have been written, or not.
        """
        self._read_time = self._now()
        await for_each(indices, self.record_progress, HANDS)

    async def commit(
        self,
        engine: Engine,
        decision: Decision,
        reports: Reports = NO_REPORTS,
        attempt: AttemptRecord | None = None,
    ) -> Trial:
        """Writes a decision, and only then takes it into the engine. Returns the record as written.

        Raises:
            Conflict: the trial was changed by somebody else.
            UnknownOutcome: it may have been written, or not.
            ForeignObjectError: its name is taken.
            UnreadableTrialError: a trial of ours is there already and makes no sense.
        """
        index = decision.trial.index
        if decision.action is Action.START:
            resource = await self._create(engine, decision)
        else:
            known = self.resources[index]
            same_state = known.trial.state is decision.trial.state
            changed = replace(
                known,
                trial=decision.trial,
                transition_time=known.transition_time if same_state else self._now(),
                evidence=dict(decision.evidence),
            )
            resource = await self._write(changed.with_reports(reports), attempt)
        self._keep(resource)
        engine.put(resource.trial)
        return resource.trial

    async def record_progress(
        self, index: int, reports: Reports = NO_REPORTS, attempt: AttemptRecord | None = None
    ) -> None:
        """Writes what goes with a trial but decides nothing: its curve, its account.

        Raises:
            Conflict: the trial was changed by somebody else.
            UnknownOutcome: it may have been written, or not.
        """
        known = self.resources[index]
        changed = replace(known, transition_time=known.transition_time or self._now())
        self._keep(await self._write(changed.with_reports(reports), attempt))

    async def _create(self, engine: Engine, decision: Decision) -> TrialResource:
        study, trial = self.study, decision.trial
        body = trial_manifest(study, trial)
        try:
            created = await self._client.create(TRIALS, study.namespace, body, CustomObject)
        except AlreadyExists:
            name = names.trial_name(study.name, trial.index)
            created = await self._client.get(TRIALS, study.namespace, name, CustomObject)
            if not owns(created, study.name, study.uid):
                raise ForeignObjectError(
                    f"HyperbandTrial {name} exists and belongs to another study; delete it, or "
                    "give this study another name"
                ) from None
        with _named_if_unreadable(created.metadata.name):
            return parse_trial(created, engine)

    async def _write(self, resource: TrialResource, attempt: AttemptRecord | None) -> TrialResource:
        resource = replace(resource, read_time=self._read_time or resource.read_time)
        if attempt is not None:
            resource = resource.with_attempt(attempt)
        body = {
            "apiVersion": names.API_VERSION,
            "kind": names.TRIAL_KIND,
            "metadata": {"name": resource.name, "resourceVersion": resource.resource_version},
            "status": trial_status(resource),
        }
        try:
            written = await self._client.replace_status(
                TRIALS, self.study.namespace, resource.name, body, CustomObject
            )
        except NotFound as error:  # somebody has deleted it: to be found out by reading again
            raise Conflict(error.status, error.reason, error.message) from error
        except (ServerError, Unreachable) as error:
            # If it was, its values have sequence numbers that must not be given out again.
            self._doubt()
            raise UnknownOutcome(f"{resource.name}: {error}") from error
        if attempt is not None and attempt.ended:
            self._attempt_ended(attempt)
        return replace(resource, resource_version=written.metadata.resource_version)


@contextmanager
def _named_if_unreadable(name: str) -> Iterator[None]:
    try:
        yield
    except (KeyError, IndexError, TypeError, ValueError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise UnreadableTrialError(
            f"the record of HyperbandTrial {name} makes no sense ({what}); "
            "undo the edit, or delete that trial"
        ) from error


def _parse_archived(body: dict[str, Any], engine: Engine) -> TrialResource:
    """The part of an archived trial's record that decisions and accounts need."""
    status = body["status"]
    status.pop("attempts", None)
    if curve := status.get("curve"):
        status["curve"] = curve[-1:]
    return without_history(parse_trial(as_object(body), engine))


def without_history(resource: TrialResource) -> TrialResource:
    """Without what a trial that will not change any more is not asked for."""
    return replace(
        resource,
        curve=resource.curve[-1:],
        latest=None,
        attempts=(),
        evidence={},
        report_error=None,
    )


def adds_nothing(item: CustomObject, archived: TrialResource) -> bool:
    """Whether an object tells nothing that the archive does not.

    It is the archived one, in the same version; or an operator that leads no more has made it since
    by a late write, and nothing has happened to it.
    """
    same = item.metadata.resource_version == archived.resource_version
    return same if item.metadata.uid == archived.uid else not item.status
