"""The operator's metrics, by Prometheus' conventions; docs/observability.md lists them.

Most are read at the scrape, from counts that are kept anyway: a scrape walks no trials. What is
left are histograms and counters, told of what happens by those it happens to.
"""

import asyncio
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import metadata
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Metric,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from hyperband.backends.kubernetes.informer import Informer
from hyperband.backends.kubernetes.transport import Transport

DISTRIBUTION = "hyperband-operator"
NO_ANSWER = "<error>"  # in place of a status code; the same as in client-go's metrics

Families = Iterable[Metric]


class Metrics:
    """Everything that /metrics shows."""

    def __init__(self) -> None:
        # Times of creation would double the series of each counter.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self._sources: list[Callable[[], Families]] = [_build]
        ProcessCollector(registry=self._registry)

    def read_from(self, *sources: Callable[[], Families]) -> None:
        """Has these asked at each scrape, on the event loop: they must be quick."""
        self._sources += sources

    async def text(self) -> bytes:
        """All of them now; what takes time is done in a thread."""
        read = [family for source in self._sources for family in source()]
        return await asyncio.to_thread(generate_latest, _Snapshot(self._registry, read))


class _Snapshot(Collector):
    """What was read on the event loop, and what counts for itself."""

    def __init__(self, registry: CollectorRegistry, read: list[Metric]) -> None:
        self._registry, self._read = registry, read

    def collect(self) -> Iterator[Metric]:
        yield from self._read
        yield from self._registry.collect()


def _build() -> Families:
    text = "The operator's version, and Python's"
    family = GaugeMetricFamily("hyperband_build_info", text, labels=["version", "python"])
    family.add_metric([_version(), platform.python_version()], 1)
    yield family


def _version() -> str:
    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:  # runs from a checkout
        return "unknown"


def leadership(leading: Callable[[], bool]) -> Callable[[], Families]:
    """Whether this process leads."""
    text = "1 where this process leads, 0 where it waits for its turn"

    def read() -> Families:
        yield GaugeMetricFamily("hyperband_leader", text, float(leading()))

    return read


def caches(informers: Mapping[str, Sequence[Informer[Any]]]) -> Callable[[], Families]:
    """What is known of objects that are watched, and since when nothing was heard of them.

    Args:
        informers: by resource, one for each namespace where not all are watched.
    """

    def read() -> Families:
        age = GaugeMetricFamily(
            "hyperband_watch_age_seconds",
            "Time since the API server was last heard of this resource, bookmarks included",
            labels=["resource"],
        )
        objects = GaugeMetricFamily(
            "hyperband_cached_objects", "Objects in the operator's cache", labels=["resource"]
        )
        for resource, group in informers.items():
            age.add_metric([resource], max(informer.age for informer in group))
            objects.add_metric([resource], sum(map(len, group)))
        yield from (age, objects)

    return read


def api_requests(*transports: Transport) -> Callable[[], Families]:
    """Requests to the API server by what was asked and answered."""

    def read() -> Families:
        family = CounterMetricFamily(
            "hyperband_api_requests",
            f"Requests to the API server, repetitions included; code {NO_ANSWER} is no answer",
            labels=["verb", "resource", "code"],
        )
        sums: dict[tuple[str, str, int], int] = {}
        for transport in transports:
            for key, count in transport.requests.items():
                sums[key] = sums.get(key, 0) + count
        for (verb, resource, code), count in sorted(sums.items()):
            family.add_metric([verb, resource, str(code) if code else NO_ANSWER], count)
        yield family

    return read
