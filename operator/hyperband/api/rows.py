"""A study's trials, and their values at rungs, as flat rows for other tools. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

from hyperband.core.errors import all_printable

Row = dict[str, Any]


class Named(Protocol):
    """An object's metadata, as far as a row tells it."""

    @property
    def name(self) -> str: ...


class Item(Protocol):
    """A trial's object."""

    @property
    def metadata(self) -> Named: ...
    @property
    def spec(self) -> Mapping[str, Any]: ...
    @property
    def status(self) -> Mapping[str, Any]: ...


TRIAL_COLUMNS: Final = (
    *("index", "trial", "bracket", "state", "origin", "value", "resource", "values"),
    *("attempts", "failures", "disruptions", "gpuSeconds", "reason", "message"),
)
VALUE_COLUMNS: Final = ("sequence", "index", "trial", "bracket", "level", "resource", "value")


def trial_rows(items: Sequence[Item]) -> Iterator[Row]:
    """One for each trial; its value is that at its highest rung, absent if it has none."""
    for item in items:
        status, spec = item.status, item.spec
        rungs = status.get("rungs") or []
        last = rungs[-1] if rungs else {}
        row = {
            "index": spec["index"],
            "trial": item.metadata.name,
            "bracket": spec["bracket"],
            "state": status.get("state", "Pending"),
            "origin": spec["suggestion"]["origin"],
            "value": last.get("value"),
            "resource": last.get("resource"),
            "values": len(rungs),
            "attempts": int(status.get("attempt", -1)) + 1,
            "failures": status.get("failures", 0),
            "disruptions": status.get("disruptions", 0),
            "gpuSeconds": status.get("gpuSeconds", 0.0),
            "reason": status.get("reason"),
            "message": status.get("message"),
            "parameters": spec["parameters"],
        }
        yield all_printable(row)


def value_rows(items: Sequence[Item]) -> Iterator[Row]:
    """One for each value at a rung, in the order in which they were recorded."""
    found = [
        (rung["sequence"], item, rung) for item in items for rung in item.status.get("rungs", ())
    ]
    for sequence, item, rung in sorted(found, key=lambda each: int(each[0])):
        row = {
            "sequence": sequence,
            "index": item.spec["index"],
            "trial": item.metadata.name,
            "bracket": item.spec["bracket"],
            "level": rung["level"],
            "resource": rung["resource"],
            "value": rung["value"],
            "parameters": item.spec["parameters"],
        }
        yield all_printable(row)
