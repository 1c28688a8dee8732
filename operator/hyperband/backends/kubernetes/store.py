"""A study's trial objects: reading them back, and writing decisions into them.

Every write carries the resourceVersion that the decision was made on. Whoever wrote in between
makes it a Conflict, and the study's task then reads everything again and decides again.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

from hyperband.api import names
from hyperband.api.metrics import NO_REPORTS, Reports, thin
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
from hyperband.backends.kubernetes.client import Client
from hyperband.backends.kubernetes.objects import TRIALS, CustomObject
from hyperband.core.decisions import Action, Decision
from hyperband.core.engine import Engine
from hyperband.core.records import Trial, TrialState

_JUDGED = {TrialState.PAUSED, TrialState.STOPPED, TrialState.COMPLETED}


class ForeignObjectError(Exception):
    """An object that is not ours has the name that ours needs; it is never touched."""


class UnreadableTrialError(Exception):
    """A trial's record does not make sense, because somebody has edited it."""


class TrialStore:
    """The trial objects of one study, as last written or read.

    Attributes:
        study: what they belong to.
        resources: the objects, by trial index.
    """

    def __init__(self, client: Client, study: StudyResource, now: Callable[[], datetime]) -> None:
        self._client, self.study, self._now = client, study, now
        self.resources: dict[int, TrialResource] = {}

    async def load(self) -> Engine:
        """Reads all trial objects of the study and rebuilds its engine from them.

        Raises:
            UnreadableTrialError: one of them makes no sense.
        """
        study = self.study
        engine = Engine(study.study)
        found = await list_trials(self._client, study.namespace, study.name, study.uid)
        self.resources = {}
        for item in sorted(found, key=lambda item: int(item.spec["index"])):
            with _named_if_unreadable(item):
                resource = parse_trial(item, engine)
                engine.put(resource.trial)
            self.resources[resource.trial.index] = resource
        return engine

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
            resource = await self._write(_with_reports(changed, reports), attempt)
        self.resources[index] = resource
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
        self.resources[index] = await self._write(_with_reports(changed, reports), attempt)

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
        with _named_if_unreadable(created):
            return parse_trial(created, engine)

    async def _write(self, resource: TrialResource, attempt: AttemptRecord | None) -> TrialResource:
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
            raise UnknownOutcome(f"{resource.name}: {error}") from error
        return replace(resource, resource_version=written.metadata.resource_version)


@contextmanager
def _named_if_unreadable(item: CustomObject) -> Iterator[None]:
    try:
        yield
    except (KeyError, IndexError, TypeError, ValueError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise UnreadableTrialError(
            f"the record of HyperbandTrial {item.metadata.name} makes no sense ({what}); "
            "undo the edit, or delete that trial"
        ) from error


async def list_trials(client: Client, namespace: str, study: str, uid: str) -> list[CustomObject]:
    """The trial objects of a study, as they are, in no order."""
    selector = f"{names.STUDY_LABEL}={study}"
    found: list[CustomObject] = []
    async for page in client.pages(TRIALS, CustomObject, namespace, label_selector=selector):
        found += [item for item in page.items if owns(item, study, uid)]
    return found


def owns(item: CustomObject, study: str, uid: str) -> bool:
    """Whether it is a trial of the study: a name exists once, an index may be forged."""
    owner = item.metadata.controller
    name = names.trial_name(study, int(item.spec.get("index", -1)))
    return owner is not None and owner.uid == uid and item.metadata.name == name


def _with_reports(resource: TrialResource, reports: Reports) -> TrialResource:
    """The attempt's reports added to the curve, which is kept bounded."""
    if reports is NO_REPORTS:
        return resource
    start = resource.curve[-1].resource if resource.curve else -1.0
    new = [report for report in reports.reports if report.resource > start]
    trial = resource.trial
    judged = trial.state in _JUDGED and trial.rungs
    counting = [r for r in new if not judged or r.resource <= trial.rungs[-1].resource]
    return replace(
        resource,
        curve=thin([*resource.curve, *new]),
        latest=counting[-1] if counting else resource.latest,
        report_error=reports.error,
    )
