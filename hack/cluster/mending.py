"""Nodes as they should be: new ones, and those that a test, a person or a crash has broken."""

import json
import time
from datetime import UTC, datetime
from typing import Any, Final

from hack.cluster import kindcluster, network
from hack.cluster.engine import Engine
from hack.cluster.run import ClusterError, CommandFailed, say

_HEARD_SECONDS: Final = 120
OUT_OF_SERVICE: Final = "node.kubernetes.io/out-of-service"


def mend_nodes(engine: Engine, own_network: bool) -> None:
    """Have every node running, registered, ready and open for pods, with its network and GPUs.

    Args:
        own_network: whether the pod network is ours to give.

    Raises:
        ClusterError: a node does not come back.
    """
    since = datetime.now(UTC)
    _wait_heard(_start(engine) | _register(engine), since)
    if own_network:
        network.ensure_pod_network(engine)
    _reopen()
    network.wait_ready()
    network.ensure_gpus()


def _start(engine: Engine) -> set[str]:
    """Starts and unpauses what stands still; gives the nodes whose kubelet starts anew."""
    started = set()
    for node in kindcluster.nodes(engine):
        if node.state == "paused":
            engine.docker("unpause", node.name)
        elif node.state != "running":
            engine.docker("start", node.name)
            started.add(node.name)
    return started


def _register(engine: Engine) -> set[str]:
    """Has kubelets register again whose Node object was deleted: they do that at their start."""
    missing = {node.name for node in kindcluster.nodes(engine)} - _nodes().keys()
    for name in sorted(missing):
        say(f"the Node {name} is gone; its kubelet starts again and registers it")
        engine.docker("exec", name, "systemctl", "restart", "kubelet")
    return missing


def _wait_heard(names: set[str], since: datetime) -> None:
    """Waits until these nodes' kubelets have called: what the API says of them is old before.

    What a starting kubelet says first may take the GPUs away.
    """
    deadline = time.monotonic() + _HEARD_SECONDS
    while True:
        try:
            nodes = _nodes()
        except CommandFailed:  # the API server itself may be starting
            nodes = {}
        silent = {name for name in names if name not in nodes or _heard(nodes[name]) <= since}
        if not silent:
            return
        if time.monotonic() > deadline:
            raise ClusterError(f"not heard of for {_HEARD_SECONDS} s: {', '.join(sorted(silent))}")
        time.sleep(1)


def _heard(node: dict[str, Any]) -> datetime:
    """When its kubelet last called, in whole seconds."""
    calls = [each["lastHeartbeatTime"] for each in node["status"].get("conditions", [])]
    return max(map(datetime.fromisoformat, calls), default=datetime.min.replace(tzinfo=UTC))


def _reopen() -> None:
    """Takes back what keeps pods away from a node that is whole."""
    for name, node in _nodes().items():
        if node["spec"].get("unschedulable"):
            kindcluster.kubectl("uncordon", name)
        if any(taint["key"] == OUT_OF_SERVICE for taint in node["spec"].get("taints", [])):
            kindcluster.kubectl("taint", "node", name, f"{OUT_OF_SERVICE}-")


def _nodes() -> dict[str, dict[str, Any]]:
    items = json.loads(kindcluster.kubectl("get", "nodes", "--output=json"))["items"]
    return {node["metadata"]["name"]: node for node in items}
