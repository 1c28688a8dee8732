"""What docs/how-to/observability.md says of metrics, read from its tables."""

import re
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from hack.cluster.paths import REPOSITORY

TEXT = (REPOSITORY / "docs/how-to/observability.md").read_text(encoding="utf-8")
_ROW = re.compile(r"^\| `((?:hyperband|process)_\w+)` \| (\w+) \|([^|]*)\|", re.MULTILINE)


class Described(NamedTuple):
    """A metric, but for its meaning."""

    type: str
    labels: frozenset[str]


def documented() -> dict[str, Described]:
    """The rows of the page, by the metric's name."""
    rows = _ROW.findall(TEXT)
    found = {name: Described(type_, _names(labels)) for name, type_, labels in rows}
    assert len(found) == len(rows), "a metric has two rows"
    return found


def exposed(scraped: str) -> dict[str, Described]:
    """What a scrape shows, by the name that the page has; without a sample there are no labels."""
    found = {}
    for family in text_string_to_metric_families(scraped):
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        name = f"{family.name}_total" if family.type == "counter" else family.name
        found[name] = Described(family.type, frozenset(labels))
    return found


def _names(cell: str) -> frozenset[str]:
    return frozenset(re.findall(r"`(\w+)`", cell))
