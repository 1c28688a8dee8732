"""The reports of this attempt as the annotation's JSON, kept within its size by thinning.

Always kept are the newest report, and those that decide: the very first, the first at or above each
rung level, the first that is not finite. The others stay evenly spaced. (With a hundred levels and
names of hundreds of characters there is no room for all that decide: then the oldest ones go.)
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hyperband.report._environment import MAX_METRICS_BYTES


@dataclass
class _Entry:
    ordinal: int  # among all reports of the attempt, from 0
    text: str
    core: str  # the same with the resource and the objective alone
    decides: bool


class History:
    """A bounded list of reports.

    Args:
        resource: the resource's name, "" where it is not known: then nothing reaches a level.
        objective: the metric's name, likewise.
        levels: rung levels, ascending.
        limit: of the text, in bytes (it is ASCII).
    """

    def __init__(
        self,
        resource: str,
        objective: str,
        levels: Sequence[float],
        limit: int = MAX_METRICS_BYTES,
    ) -> None:
        self._resource = resource
        self._objective = objective
        self._levels = list(levels)  # those not reached yet
        self._limit = limit
        self._entries: list[_Entry] = []
        self._size = 0  # of their texts, so that a report costs the same however many there are
        self._count = 0
        self._stride = 1  # of the reports that decide nothing, each stride-th is kept
        self._finite = True
        self._unusable: str | None = None
        self.shortened = False  # whether metrics beside the objective had to be left out
        self.complete = True  # whether no report that decides something had to be left out

    def add(self, report: Mapping[str, float]) -> bool:
        """Appends a report; True if it decides something, so that it should be sent at once."""
        decides = self._decides(report)
        core = {name: report[name] for name in (self._resource, self._objective) if name in report}
        if self._entries and not self._kept(self._entries[-1]):
            self._size -= len(self._entries.pop().text)  # was there as the newest only
        self._entries.append(_Entry(self._count, _dump(report), _dump(core), decides))
        self._size += len(self._entries[-1].text)
        self._count += 1
        while self.length > self._limit and self._thin():
            self._size = sum(len(entry.text) for entry in self._entries)
        return decides

    def complain(self, entry: str) -> bool:
        """Puts something first that is no report, as JSON, for the operator to tell of; once."""
        if self._unusable is not None:
            return False
        self._unusable = entry
        return True

    def text(self) -> str:
        """The JSON list, oldest first. NaN and infinities are Python's literals NaN, Infinity."""
        first = () if self._unusable is None else (self._unusable,)
        return f"[{','.join((*first, *(entry.text for entry in self._entries)))}]"

    @property
    def length(self) -> int:
        """Of the text, known without making it."""
        parts = len(self._entries) + (self._unusable is not None)
        commas = max(0, parts - 1)
        return len("[]") + len(self._unusable or "") + self._size + commas

    def _decides(self, report: Mapping[str, float]) -> bool:
        spent = report.get(self._resource, -math.inf)
        reached = [level for level in self._levels if spent >= level]
        del self._levels[: len(reached)]
        diverged = self._finite and not math.isfinite(report.get(self._objective, 0.0))
        self._finite = self._finite and not diverged
        return bool(reached) or diverged or self._count == 0

    def _kept(self, entry: _Entry) -> bool:
        return entry.decides or entry.ordinal % self._stride == 0

    def _thin(self) -> bool:
        """Makes the text shorter; False if it cannot be."""
        *before, newest = self._entries
        if not all(entry.decides for entry in before):
            self._stride *= 2
            self._entries = [*filter(self._kept, before), newest]
            return True
        for entry in self._entries:
            if len(entry.core) < len(entry.text):
                entry.text = entry.core
                self.shortened = True
                return True
        if before:  # sent when it came, and most likely read long ago
            del self._entries[0]
            self.complete = False
            return True
        return False


def _dump(report: Mapping[str, float]) -> str:
    return json.dumps(report, separators=(",", ":"))
