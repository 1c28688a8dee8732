"""Schedulers by the name that `spec.hyperband.mode` gives them: one file and one line each."""

from hyperband.core.errors import InvalidStudyError
from hyperband.core.records import Study
from hyperband.core.rungs import RungTable
from hyperband.core.schedulers.base import Scheduler
from hyperband.core.schedulers.promotion import AsynchronousPromotion
from hyperband.core.schedulers.stopping import AsynchronousStopping

SCHEDULERS: dict[str, type[Scheduler]] = {
    "Promotion": AsynchronousPromotion,
    "Stopping": AsynchronousStopping,
}


def make_scheduler(study: Study, rungs: RungTable) -> Scheduler:
    """The scheduler of a study.

    Raises:
        InvalidStudyError: the mode is not known.
    """
    try:
        return SCHEDULERS[study.mode](study, rungs)
    except KeyError:
        known = ", ".join(SCHEDULERS)
        raise InvalidStudyError(
            "spec.hyperband.mode", f"'{study.mode}' is not known; use one of {known}"
        ) from None
