"""What the chart grants, beside what the API server's audit log says was used.

``python -m hack.permissions`` prints it for the kind cluster that is up; ``--log FILE`` reads
another API server's log, whose policy must record service accounts as
hack/cluster/recipes/kind/audit-policy.yaml does. It exits with 1 where a verb is granted that
nobody has used, or something was tried that is not granted.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import yaml
from rich.console import Console
from rich.table import Table

from hack.chart import helm
from hack.chart.files import NAME
from hack.cluster import engine as engines
from hack.cluster import kindconfig, paths
from hack.cluster.run import ClusterError

OPERATOR: Final = "operator"
TRIALS: Final = "trials"
DASHBOARD: Final = "dashboard"
# Whose a role is, by how its name begins. Those of people, to edit and to view, are not compared.
_OWNERS: Final = {
    "hyperband-edit": None,
    "hyperband-view": None,
    "hyperband-reporter": TRIALS,
    "hyperband-namespace-lease": OPERATOR,
    f"{NAME}-dashboard": DASHBOARD,
    NAME: OPERATOR,
}
# The sets of values whose roles differ.
_SETS: Final = ((), ("--set=namespaces={team}",), ("--set=dashboard.enabled=true",))
_ACCOUNT: Final = "system:serviceaccount:"


@dataclass(frozen=True, order=True)
class Right:
    """A verb on a kind of objects, or on one of them."""

    owner: str
    group: str
    resource: str  # with its subresource
    name: str  # of the one object that it is limited to, or ""
    verb: str

    def __str__(self) -> str:
        what = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{self.verb} {what}{f' {self.name}' if self.name else ''} ({self.owner})"


@dataclass
class Comparison:
    """How often each right was used, and what was tried without one."""

    used: dict[Right, int]
    refused: Counter[Right] = field(default_factory=Counter)

    @property
    def unused(self) -> list[Right]:
        return sorted(right for right, times in self.used.items() if not times)


def granted() -> set[Right]:
    """What the chart's roles grant, those for a list of namespaces included."""
    found = set()
    for words in _SETS:
        for body in yaml.safe_load_all(helm.template(*words)):
            if body and body["kind"] in ("Role", "ClusterRole"):
                found |= set(_of_role(body))
    return found


def _of_role(body: dict[str, Any]) -> Iterator[Right]:
    name = body["metadata"]["name"]
    owner = _OWNERS[next(known for known in _OWNERS if name.startswith(known))]
    if owner is None:
        return
    for rule in body["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                for one in rule.get("resourceNames", [""]):
                    for verb in rule["verbs"]:
                        yield Right(owner, group, resource, one, verb)


def compare(rights: set[Right], lines: Iterable[str], since: datetime | None = None) -> Comparison:
    """Counts the requests of the log that each right has allowed.

    Args:
        lines: of the audit log, an event each.
        since: what came before does not count.
    """
    result = Comparison(dict.fromkeys(rights, 0))
    seen = set()  # a watch has an event for its begin and one for its end
    for event in map(json.loads, lines):
        asked = _request(event)
        if asked is None or event["auditID"] in seen:
            continue
        if since is not None and datetime.fromisoformat(event["stageTimestamp"]) < since:
            continue
        seen.add(event["auditID"])
        allowing = [right for right in (asked, _whole_kind(asked)) if right in rights]
        if event.get("annotations", {}).get("authorization.k8s.io/decision") == "allow":
            for right in allowing:
                result.used[right] += 1
        # An API server that has just started refuses everybody until it has read the roles. What
        # trials try in vain are attacks, of which there are tests.
        elif not allowing and asked.owner != TRIALS:
            result.refused[asked] += 1
    return result


def _request(event: dict[str, Any]) -> Right | None:
    """What was asked for, where one of our accounts has asked for an object."""
    user = event["user"].get("username", "")  # "" of a token that has expired
    account = user.rpartition(":")[2] if user.startswith(_ACCOUNT) else ""
    owner = _owner_of(account)
    target = event.get("objectRef")
    if owner is None or target is None or "resource" not in target:
        return None
    sub = f"/{target['subresource']}" if "subresource" in target else ""
    name = target.get("name", "")
    return Right(owner, target.get("apiGroup", ""), target["resource"] + sub, name, event["verb"])


def _owner_of(account: str) -> str | None:
    if account == "hyperband-reporter":
        return TRIALS
    if NAME not in account:
        return None
    return DASHBOARD if account.endswith("-dashboard") else OPERATOR


def _whole_kind(right: Right) -> Right:
    return Right(right.owner, right.group, right.resource, "", right.verb)


def audit_log() -> list[str]:
    """The kind cluster's log, what was rotated included.

    Raises:
        ClusterError: it is not up, or has no log.
    """
    engine = engines.running()
    if engine is None:
        raise ClusterError("no cluster is up: `make up`, or name an audit log with --log")
    everything = f"cat $(ls -tr {kindconfig.AUDIT_LOG.removesuffix('.log')}*.log)"
    control_plane = f"{paths.CLUSTER_NAME}-control-plane"
    return engine.docker("exec", control_plane, "sh", "-c", everything).splitlines()


def table(comparison: Comparison) -> Table:
    """A row for each kind of objects: verbs, and how often each was used."""
    rows: dict[tuple[str, str, str, str], list[str]] = {}
    for right, times in sorted(comparison.used.items()):
        key = (right.owner, right.group or "core", right.resource, right.name)
        rows.setdefault(key, []).append(f"{right.verb} {times}" if times else f"{right.verb} NEVER")
    result = Table("granted to", "group", "resource", "the one named", "verbs, how often used")
    for key, verbs in rows.items():
        result.add_row(*key, ", ".join(verbs))
    return result


def summary(comparison: Comparison) -> str:
    """The figures, and what is wrong with them."""
    rights, unused = comparison.used, comparison.unused
    lines = [f"{len(rights)} verbs granted, {len(rights) - len(unused)} of them used"]
    lines += [f"granted and never used: {right}" for right in unused]
    lines += [
        f"tried {times} times and not granted: {right}"
        for right, times in sorted(comparison.refused.items())
    ]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m hack.permissions", description=__doc__)
    parser.add_argument("--log", type=Path, help="an audit log, else that of the kind cluster")
    parser.add_argument("--since", type=datetime.fromisoformat, help="2026-01-31T12:00Z")
    options = parser.parse_args()
    since = options.since
    if since is not None and since.tzinfo is None:
        since = since.replace(tzinfo=UTC)
    lines = options.log.read_text("utf-8").splitlines() if options.log else audit_log()
    comparison = compare(granted(), lines, since)
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(table(comparison))
    console.print(summary(comparison), highlight=False)
    return 1 if comparison.unused or comparison.refused else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ClusterError as failure:
        print(f"hack.permissions: {failure}", file=sys.stderr)
        sys.exit(failure.exit_code)
