"""Whether a study has spent its budget."""

from hyperband.core.records import Spent, Study

HOUR = 3600.0


def exceeded(study: Study, spent: Spent) -> str:
    """The first bound of the budget that is reached, in words; empty if none is."""
    if spent.reached:
        return spent.reached
    budget = study.budget
    if budget.gpu_seconds is not None and spent.gpu_seconds >= budget.gpu_seconds:
        used, allowed = spent.gpu_seconds / HOUR, budget.gpu_seconds / HOUR
        return f"{used:.6g} GPU-hours are used; budget.gpuHours is {allowed:.6g}"
    if budget.seconds is not None and spent.seconds >= budget.seconds:
        return (
            f"it has gone on for {spent.seconds:.0f} s; budget.duration is {budget.seconds:.0f} s"
        )
    if budget.resource_units is not None and spent.resource_units >= budget.resource_units:
        return (
            f"{spent.resource_units:.6g} {study.resource.name} are trained; "
            f"budget.resourceUnits is {budget.resource_units:.6g}"
        )
    return ""
