"""Schedulers by the name that `spec.hyperband.mode` gives them: one file and one line each."""

from hyperband.core.errors import InvalidStudyError
from hyperband.core.records import Study
from hyperband.core.rungs import Ladder
from hyperband.core.schedulers.base import Scheduler
from hyperband.core.schedulers.none import NoEarlyStopping
from hyperband.core.schedulers.promotion import AsynchronousPromotion
from hyperband.core.schedulers.stopping import AsynchronousStopping
from hyperband.core.schedulers.synchronous import SynchronousHyperband

SCHEDULERS: dict[str, type[Scheduler]] = {
    "Promotion": AsynchronousPromotion,
    "Stopping": AsynchronousStopping,
    "Synchronous": SynchronousHyperband,
    "None": NoEarlyStopping,
}


def make_scheduler(study: Study, ladder: Ladder) -> Scheduler:
    """The scheduler of a study.

    Raises:
        InvalidStudyError: the mode is not known.
    """
    try:
        return SCHEDULERS[study.mode](study, ladder)
    except KeyError:
        known = ", ".join(SCHEDULERS)
        raise InvalidStudyError(
            "spec.hyperband.mode", f"'{study.mode}' is not known; use one of {known}"
        ) from None
