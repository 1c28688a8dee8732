"""The metrics of the operator process itself, read at each scrape from those who know."""

import platform
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from hyperband.backends.kubernetes.informer import Informer
from hyperband.backends.kubernetes.transport import Transport
from hyperband.version import VERSION

NO_ANSWER = "<error>"  # in place of a status code; the same as in client-go's metrics


class Source(Protocol):
    """Who knows of all namespaces that this process works in."""

    def leading(self) -> Mapping[str | None, bool]:
        """By namespace; None is all of them."""

    def informers(self) -> Mapping[str, Sequence[Informer[Any]]]:
        """By resource, one for each namespace where not all are watched."""

    def waiting(self) -> tuple[int, int]:
        """How many studies, and how many trials, are still to be looked at."""


def of_process(
    transports: Sequence[Transport],
    source: Source,
) -> Callable[[], Iterator[Metric]]:
    """What `Metrics.read_from` asks at each scrape."""

    def read() -> Iterator[Metric]:
        yield _build()
        yield _leader(source.leading())
        yield from _caches(source.informers())
        studies, trials = source.waiting()
        text = "Studies of which there is news that their task has not begun to look at"
        yield GaugeMetricFamily("hyperband_queued_studies", text, studies)
        text = "Trials that something has happened to, to be looked at"
        yield GaugeMetricFamily("hyperband_queued_trials", text, trials)
        yield _requests(transports)

    return read


def _build() -> Metric:
    text = "The operator's version, and Python's"
    family = GaugeMetricFamily("hyperband_build_info", text, labels=["version", "python"])
    family.add_metric([VERSION, platform.python_version()], 1)
    return family


def _leader(leading: Mapping[str | None, bool]) -> Metric:
    """By namespace, where there is a list of them."""
    text = "1 where this process leads, 0 where it waits for its turn"
    if None in leading:
        return GaugeMetricFamily("hyperband_leader", text, float(leading[None]))
    family = GaugeMetricFamily("hyperband_leader", text, labels=["namespace"])
    for namespace, leads in leading.items():
        family.add_metric([namespace or ""], float(leads))
    return family


def _caches(informers: Mapping[str, Sequence[Informer[Any]]]) -> Iterable[Metric]:
    """What is known of objects that are watched, and since when nothing was heard of them."""
    age = GaugeMetricFamily(
        "hyperband_watch_age_seconds",
        "Time since the API server was last heard of this resource, bookmarks included",
        labels=["resource"],
    )
    objects = GaugeMetricFamily(
        "hyperband_cached_objects", "Objects in the operator's cache", labels=["resource"]
    )
    for resource, group in informers.items():
        if group:  # else it leads nowhere, and nothing is watched
            age.add_metric([resource], max(informer.age for informer in group))
        objects.add_metric([resource], sum(map(len, group)))
    return age, objects


def _requests(transports: Iterable[Transport]) -> Metric:
    """Requests to the API server by what was asked and answered."""
    family = CounterMetricFamily(
        "hyperband_api_requests",
        f"Requests to the API server, repetitions included; code {NO_ANSWER} is no answer",
        labels=["verb", "resource", "code"],
    )
    total: Counter[tuple[str, str, int]] = Counter()
    for transport in transports:
        total.update(transport.requests)
    for (verb, resource, code), count in sorted(total.items()):
        family.add_metric([verb, resource, str(code) if code else NO_ANSWER], count)
    return family
