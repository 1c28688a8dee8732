"""The operator's metrics, by Prometheus' conventions; docs/how-to/observability.md lists them.

Most are read at the scrape, from counts that are kept anyway: a scrape walks no trials. What is
left are histograms and counters, told of what happens by those it happens to.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import UTC, datetime

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    Metric,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.registry import Collector

from hyperband.backends.kubernetes.telemetry.pods import PodFigures
from hyperband.backends.kubernetes.telemetry.studies import StudyMetrics

LAG_SECONDS = 0.1  # between two looks at the event loop's lateness

Source = Callable[[], Iterable[Metric]]  # of what is read at a scrape


class Metrics:
    """Everything that /metrics shows.

    Attributes:
        pods: to be told of every change of a pod.
        studies: to be told of the studies that are taken up and let go.
        decision_latency: from the news of a pod to the decision written.
    """

    def __init__(
        self,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        # Times of creation would double the series of each counter.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        registry = self._registry = CollectorRegistry()
        self.pods = PodFigures(now)
        self.studies = StudyMetrics(self.pods, monotonic)
        self._sources: list[Source] = [self.studies.read]
        ProcessCollector(registry=registry)
        self.decision_latency = Histogram(
            "hyperband_decision_latency_seconds",
            "From the arrival of a pod's news, such as a report, to the decision written",
            registry=registry,
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
        )
        self._request_duration = Histogram(
            "hyperband_api_request_duration_seconds",
            "Until the API server's answer to one request begins; watches left out",
            ["verb"],
            registry=registry,
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
        )
        self._fits = Histogram(
            "hyperband_surrogate_fit_duration_seconds",
            "Time that fits of surrogates took, the wait for a free process included",
            registry=registry,
            buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300),
        )
        self._failed_fits = Counter(
            "hyperband_surrogate_fit_failures",
            "Fits that failed; the study goes on with the model that it had before",
            registry=registry,
        )
        self._lag = Histogram(
            "hyperband_event_loop_lag_seconds",
            "How late the event loop comes to what is due, looked at ten times a second",
            registry=registry,
            buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
        )

    def read_from(self, source: Source) -> None:
        """Has it asked at each scrape, on the event loop: it must be quick."""
        self._sources.append(source)

    def request_answered(self, verb: str, seconds: float) -> None:
        """For a transport; watches, which last as long as they like, are left out."""
        if verb != "watch":
            self._request_duration.labels(verb).observe(seconds)

    def fit_ended(self, seconds: float, failed: bool) -> None:
        """For those who fit surrogates."""
        self._fits.observe(seconds)
        self._failed_fits.inc(failed)

    async def watch_lag(
        self,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Looks at the event loop's lateness until cancelled."""
        while True:
            due = clock() + LAG_SECONDS
            await sleep(LAG_SECONDS)
            self._lag.observe(max(0.0, clock() - due))

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
