"""How fast the operator answers, and what it writes, over the digits sample on the kind cluster.

Read from the API server's audit log, which sees every write with microseconds: from the end of an
attempt's last report (a patch of the pod's annotation) to the end of the first status write of its
trial after it.
"""

import json
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

NAMESPACE = "default"
STUDY = "digits"
LOG = "/var/log/kubernetes/audit.log"
WRITES = ("create", "update", "patch", "delete", "deletecollection")
CONTROL_PLANE = "hyperband-control-plane"


@dataclass(frozen=True)
class Write:
    """One successful write in the audit log."""

    verb: str
    resource: str  # with its subresource
    name: str
    operator: bool
    reporter: bool
    ended: datetime


def run(console: Console) -> None:
    """Runs the sample where a cluster is up, and prints the figures."""
    if _cluster("kubeconfig") is None:
        console.print("No kind cluster is up, so the operator's answers are not measured: make up")
        return
    start = datetime.now(UTC)
    console.print("Running the digits sample, about a minute …")
    subprocess.run([sys.executable, "-m", "hack.demo"], check=True, stdout=subprocess.DEVNULL)
    text = _cluster("docker", "exec", CONTROL_PLANE, "cat", LOG)
    assert text is not None
    writes = [write for write in parse(text.splitlines()) if write.ended > start]
    report(console, writes)


def parse(lines: Iterable[str]) -> Iterator[Write]:
    """The successful writes of operator and reporters to objects of the namespace."""
    for line in lines:
        event: dict[str, Any] = json.loads(line)
        target = event.get("objectRef", {})
        code = event.get("responseStatus", {}).get("code", 0)
        if target.get("namespace") != NAMESPACE or not 200 <= code < 300:
            continue
        if event["verb"] not in WRITES:
            continue
        sub = target.get("subresource")
        yield Write(
            verb=event["verb"],
            resource=target["resource"] + (f"/{sub}" if sub else ""),
            name=target.get("name", ""),
            operator="fieldManager=hyperband-operator" in event["requestURI"]
            or "aiohttp" in event.get("userAgent", "").lower(),
            reporter=event["user"]["username"].endswith(":hyperband-reporter"),
            ended=datetime.fromisoformat(event["stageTimestamp"]),
        )


def answers(writes: list[Write]) -> list[float]:
    """Seconds from each attempt's last report to its trial's next status write."""
    last: dict[str, datetime] = {}
    for write in writes:
        if write.reporter and write.resource == "pods":
            last[write.name] = max(write.ended, last.get(write.name, write.ended))
    statuses = defaultdict(list)
    for write in writes:
        if write.operator and write.resource == "hyperbandtrials/status":
            statuses[write.name].append(write.ended)
    seconds = []
    for pod, reported in last.items():
        after = [t for t in statuses[pod.rpartition("-")[0]] if t >= reported]
        if after:
            seconds.append((min(after) - reported).total_seconds())
    return seconds


def report(console: Console, writes: list[Write]) -> None:
    """Prints delays and writes."""
    seconds = answers(writes)
    console.print(
        f"Answers to {len(seconds)} reports at rungs: median {np.median(seconds) * 1e3:.0f} ms, "
        f"p99 {np.quantile(seconds, 0.99) * 1e3:.0f} ms, worst {max(seconds) * 1e3:.0f} ms"
    )
    counts = Counter((w.verb, w.resource) for w in writes if w.operator)
    trials = counts["create", "hyperbandtrials"]
    table = Table(title=f"Writes of the operator for {trials} trials", title_justify="left")
    for column in ("verb", "resource", "in all", "a trial"):
        table.add_column(column)
    for (verb, resource), count in sorted(counts.items()):
        table.add_row(verb, resource, str(count), f"{count / trials:.2f}")
    reports = sum(w.reporter for w in writes)
    table.add_row("patch", "pods (reporters)", str(reports), f"{reports / trials:.2f}")
    console.print(table)


def _cluster(*words: str) -> str | None:
    done = subprocess.run(
        [sys.executable, "-m", "hack.cluster", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    return done.stdout if done.returncode == 0 else None
