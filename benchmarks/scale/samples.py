"""Samples of processes and of the operator's metrics while something runs."""

import asyncio
import os
import time
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from prometheus_client.parser import text_string_to_metric_families

SAMPLE_SECONDS: Final = 2.0
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Sample:
    """One moment.

    Attributes:
        moment: seconds since 1970.
        memory: resident bytes, by program; what its processes have in common counts in each.
        cpu: seconds since its start, by program, of processes that still run.
        metrics: the operator's, by name and labels; empty while it does not answer.
    """

    moment: float
    memory: Mapping[str, int]
    cpu: Mapping[str, float]
    metrics: Mapping[str, float]

    def summary(self) -> dict[str, Any]:
        """For a file."""
        asked = [v for name, v in self.metrics.items() if name.startswith("hyperband_api_requests")]
        return {
            "moment": self.moment,
            "memory": dict(self.memory),
            "cpu": dict(self.cpu),
            "requests": sum(asked),
        }


@dataclass
class Sampler:
    """Takes samples until cancelled.

    Attributes:
        processes: ids by name; may be changed meanwhile.
        address: where the operator serves its metrics.
    """

    processes: dict[str, int]
    address: str
    samples: list[Sample] = field(default_factory=list)

    async def run(self) -> None:
        while True:
            await self.take()
            await asyncio.sleep(SAMPLE_SECONDS)

    async def take(self) -> Sample:
        """A sample now."""
        there = {name: pid for name, pid in self.processes.items() if _alive(pid)}
        sample = Sample(
            time.time(),
            {name: sum(map(memory, family(pid))) for name, pid in there.items()},
            {name: sum(map(cpu, family(pid))) for name, pid in there.items()},
            await asyncio.to_thread(scrape, self.address),
        )
        self.samples.append(sample)
        return sample


def _alive(pid: int) -> bool:
    return Path(f"/proc/{pid}/statm").exists()


def family(pid: int) -> list[int]:
    """A process and all that it has started, and so on."""
    found = [pid]
    for each in found:
        for task in Path(f"/proc/{each}/task").glob("*/children"):
            with suppress(OSError):
                found += map(int, task.read_text().split())
    return found


def memory(pid: int) -> int:
    """Resident bytes of a process; 0 if it is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def cpu(pid: int) -> float:
    """Seconds that a process has worked; 0 if it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS


def scrape(address: str) -> dict[str, float]:
    """What /metrics shows; nothing where nobody answers."""
    try:
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
            text = answer.read().decode()
    except OSError:
        return {}
    return {
        sample.name + "".join(f",{k}={v}" for k, v in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
