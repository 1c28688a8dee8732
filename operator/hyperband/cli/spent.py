"""What a study has spent, and what it holds now: in numbers and in words."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from hyperband.api.schema.template import DEFAULT_GPU_RESOURCES
from hyperband.api.status import elapsed_seconds
from hyperband.api.template import parse_template
from hyperband.api.words import counted, number, span
from hyperband.core.errors import InvalidStudyError

Body = Mapping[str, Any]


def spent(body: Body, now: datetime) -> dict[str, Any]:
    """What has been spent, and of what, where there is a bound."""
    status, budget = body.get("status") or {}, body["spec"].get("budget") or {}
    ended = status.get("completionTime")
    until = datetime.fromisoformat(ended) if ended else now
    return {
        "gpuHours": round(float(status.get("gpuSeconds", 0.0)) / 3600, 4),
        "seconds": round(elapsed_seconds(status, until), 1),
        "resourceUnits": status.get("resourceUnits", 0),
        "budget": dict(budget),
    }


def spent_words(body: Body, now: datetime) -> str:
    """The same in a line."""
    used, unit = spent(body, now), body["spec"]["resource"]["name"]
    budget = used["budget"]

    def of(key: str) -> str:
        return f" of {number(budget[key])}" if key in budget else ""

    return (
        f"{number(used['gpuHours'])}{of('gpuHours')} GPU-hours, "
        f"{span(used['seconds'])}{of('duration')}, "
        f"{number(used['resourceUnits'])}{of('resourceUnits')} {unit}"
    )


def gpus_in_use(body: Body, running: int) -> float | None:
    """What the pods that run hold; None where the study is not one that can run."""
    spec = body["spec"]
    try:
        template = parse_template(spec["trialTemplate"])
    except (InvalidStudyError, KeyError):
        return None
    return running * template.count(spec.get("gpuResources") or DEFAULT_GPU_RESOURCES)


def gpu_words(body: Body, running: int) -> str:
    """The same in words; empty where trials ask for no GPU."""
    most = gpus_in_use(body, int(body["spec"].get("parallelism", 1)))
    if not most:
        return ""
    return f"{number(gpus_in_use(body, running))} of {counted(most, 'GPU')} in use"
