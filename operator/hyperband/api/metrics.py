"""The metrics annotation of a pod, read without ever failing, and learning curves kept bounded.

The annotation is written by the user's training, or by hand: anything may be in it. What can be
read is used, and the rest is said in one sentence.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hyperband.api import names
from hyperband.api.schema.trial import MAX_CURVE
from hyperband.core.errors import encodable
from hyperband.core.parameters import show
from hyperband.core.records import Report

_SPELLED = {
    "nan": math.nan,
    "inf": math.inf,
    "infinity": math.inf,
    "-inf": -math.inf,
    "-infinity": -math.inf,
}
_MAX_ERROR = 1000  # characters


@dataclass(frozen=True, slots=True)
class Reports:
    """What an annotation says.

    Attributes:
        reports: those that could be read, in the order of their resource.
        error: what is wrong with the others and how to mend it, or None.
    """

    reports: tuple[Report, ...]
    error: str | None


NO_REPORTS = Reports((), None)


class _BadReportError(Exception):
    """One report cannot be used."""


def parse_metrics(text: str, metric: str, resource: str) -> Reports:
    """The reports in an annotation: one JSON object, or a list of them, oldest first. Never raises.

    NaN and infinities, also spelled as strings where a language's JSON has no literals for them,
    are values: the training has diverged.

    Args:
        metric: the name of the objective.
        resource: the name of the resource.
    """
    size = len(text.encode(errors="replace"))
    if size > names.MAX_METRICS_BYTES:
        return _unreadable(
            f"has {size} bytes, more than {names.MAX_METRICS_BYTES}: report less often or fewer "
            "metrics"
        )
    try:
        document = json.loads(text)
    except RecursionError:
        return _unreadable("is nested too deeply: write one JSON object or a list of them")
    except ValueError as error:  # malformed, or an integer of thousands of digits
        return _unreadable(f"is not JSON ({error}): write one JSON object or a list of them")
    if isinstance(document, Mapping):
        document = [document]
    if not isinstance(document, list):
        return _unreadable(f"is {show(document)}: write one JSON object or a list of them")
    return _parse_list(document, metric, resource)


def _unreadable(problem: str) -> Reports:
    return Reports((), encodable(f"annotation {names.METRICS_ANNOTATION} {problem}", _MAX_ERROR))


def _parse_list(entries: Sequence[Any], metric: str, resource: str) -> Reports:
    good: list[Report] = []
    problems: list[str] = []
    for position, entry in enumerate(entries):
        where = f"report {position + 1}"
        try:
            report = _parse_report(entry, metric, resource)
            if good and report.resource < good[-1].resource:
                raise _BadReportError(
                    f"goes back from {resource} {good[-1].resource:g} to {report.resource:g} and "
                    "is left out: report in ascending order"
                )
        except _BadReportError as error:
            problems.append(f"{where} {error}")
        else:
            good.append(report)
    if not problems:
        return Reports(tuple(good), None)
    # No counts: the text is compared with the one before, and must not change with every report.
    more = "; more reports are wrong" if len(problems) > 1 else ""
    return Reports(tuple(good), encodable(problems[0], _MAX_ERROR - len(more)) + more)


def _parse_report(entry: Any, metric: str, resource: str) -> Report:
    if not isinstance(entry, Mapping):
        raise _BadReportError(
            f'is {show(entry)}: write an object such as {{"{resource}": 1, "{metric}": 0.5}}'
        )
    spent = _field(entry, resource, "spec.resource.name")
    if not math.isfinite(spent) or spent < 0:
        raise _BadReportError(f'has {spent:g} as "{resource}": report a number from 0 up')
    value = _field(entry, metric, "spec.objective.metric")
    others = {
        key: number
        for key, item in entry.items()
        if key not in (metric, resource) and (number := _number(item)) is not None
    }
    return Report(spent, value, others)


def _field(entry: Mapping[str, Any], name: str, meaning: str) -> float:
    if name not in entry:
        there = ", ".join(map(str, entry)) or "nothing"
        raise _BadReportError(
            f'has no "{name}", only {_cut(there)}: report under the name that {meaning} gives'
        )
    number = _number(entry[name])
    if number is None:
        raise _BadReportError(
            f'has {show(entry[name])} as "{name}": report a number, without quotes'
        )
    return number


def _number(item: Any) -> float | None:
    """The item as a float, or None if it is not a number."""
    if isinstance(item, str):
        return _SPELLED.get(item.strip().lower().removeprefix("+"))
    if isinstance(item, bool) or not isinstance(item, int | float):
        return None
    try:
        return float(item) + 0.0  # -0 is 0, as which a server may give it back
    except OverflowError:  # an integer beyond the largest float
        return math.inf if item > 0 else -math.inf


def _cut(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:197]}..."


def thin(reports: Sequence[Report], limit: int = MAX_CURVE) -> tuple[Report, ...]:
    """At most `limit` of the reports, in ascending resource: the first, the last, and between them
    those that lie furthest from their neighbours, so that the curve stays evenly covered."""
    kept = list(reports)
    while len(kept) > limit:
        gaps = sorted(
            (kept[i + 1].resource - kept[i - 1].resource, i) for i in range(1, len(kept) - 1)
        )
        dropped: set[int] = set()
        for _, i in gaps:
            if len(kept) - len(dropped) == limit:
                break
            if not {i - 1, i + 1} & dropped:  # neighbours' gaps have changed: next pass
                dropped.add(i)
        kept = [report for i, report in enumerate(kept) if i not in dropped]
    return tuple(kept)
