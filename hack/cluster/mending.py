"""Brings back nodes that somebody has broken: a test, a person or a crash."""

import json
import time
from datetime import UTC, datetime
from typing import Any, Final

from hack.cluster import kindcluster, network
from hack.cluster.engine import Engine
from hack.cluster.run import ClusterError, CommandFailed, say

_WAIT_SECONDS: Final = 120
OUT_OF_SERVICE: Final = "node.kubernetes.io/out-of-service"


def mend_nodes(engine: Engine) -> None:
    """Have every node running, registered, ready, open for pods, with its network and GPUs.

    Raises:
        ClusterError: a node does not come back.
    """
    since = datetime.now(UTC)
    anew = _start(engine) | _register(engine)
    if network.is_ours(engine):
        network.ensure_pod_network(engine)
    for name, node in _nodes().items():
        taints = {taint["key"] for taint in node["spec"].get("taints", [])}
        if node["spec"].get("unschedulable"):
            kindcluster.kubectl("uncordon", name)
        if OUT_OF_SERVICE in taints:
            kindcluster.kubectl("taint", "node", name, f"{OUT_OF_SERVICE}-")
    _wait_ready(anew, since)
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
    """Has kubelets register again whose Node object was deleted, which they do at their start."""
    known = _nodes()
    missing = {node.name for node in kindcluster.nodes(engine)} - known.keys()
    for name in missing:
        say(f"the Node {name} is gone; its kubelet starts again and registers it")
        engine.docker("exec", name, "systemctl", "restart", "kubelet")
    return missing


def _wait_ready(anew: set[str], since: datetime) -> None:
    """Waits for all nodes; for those that start anew until they have said so themselves.

    What a starting kubelet says first takes the GPUs away, so it has to be waited for.
    """
    deadline = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < deadline:
        try:
            nodes = _nodes()
        except CommandFailed:
            nodes = {}
        waiting = [n for n, node in nodes.items() if not _ready(node, since if n in anew else None)]
        if nodes and not waiting and anew <= nodes.keys():
            return
        time.sleep(1)
    raise ClusterError(f"not ready after {_WAIT_SECONDS} s: {', '.join(waiting) or 'the nodes'}")


def _ready(node: dict[str, Any], since: datetime | None) -> bool:
    conditions = {each["type"]: each for each in node["status"]["conditions"]}
    ready = conditions.get("Ready")
    if ready is None or ready["status"] != "True":
        return False
    if any(taint.get("effect") == "NoExecute" for taint in node["spec"].get("taints", [])):
        return False
    # Times are in whole seconds.
    heard = datetime.fromisoformat(ready["lastHeartbeatTime"])
    return since is None or heard > since


def _nodes() -> dict[str, dict[str, Any]]:
    items = json.loads(kindcluster.kubectl("get", "nodes", "--output=json"))["items"]
    return {node["metadata"]["name"]: node for node in items}
