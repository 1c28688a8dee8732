"""The pod network and the GPUs: what the nodes get once the cluster is there."""

import json
import time
from typing import Any, Final

from hack.cluster import kindcluster, kindconfig, paths
from hack.cluster.engine import Engine
from hack.cluster.run import ClusterError, capture, step, succeeds

GPUS: Final = 4
_GPU: Final = "nvidia.com/gpu"
_CONFLIST: Final = "/etc/cni/net.d/10-hyperband.conflist"
_ROUTES: Final = "/kind/pod-routes"


def ensure_pod_network(engine: Engine) -> None:
    """Give every node its part of the pod network, where kindnetd cannot be had.

    The routes are then kept by a service in the node image (``pod-routes.sh``), also when a node
    comes back with another address.
    """
    ranges = _pod_ranges()
    routes = "".join(f"{node} {cidr}\n" for node, cidr in sorted(ranges.items()))
    for node, cidr in ranges.items():
        conflist = json.dumps(_conflist(cidr))
        current = f"cat {_CONFLIST} {_ROUTES} 2>/dev/null || true"
        if engine.docker("exec", node, "sh", "-c", current) == conflist + routes:
            continue
        _write(engine, node, _ROUTES, routes)
        engine.docker("exec", node, "/kind/bin/pod-routes.sh", "once")
        # Last, because a node is ready from here on.
        _write(engine, node, _CONFLIST, conflist)


def is_ours(engine: Engine) -> bool:
    """Whether the pod network is the one that `ensure_pod_network` gives."""
    control_plane = f"{paths.CLUSTER_NAME}-control-plane"
    return succeeds(["docker", "exec", control_plane, "test", "-e", _CONFLIST], env=engine.env)


def wait_ready() -> None:
    """Wait until every node and the cluster's DNS are ready."""
    with step("waiting for the nodes to be ready"):
        kindcluster.kubectl(
            "wait", "--for=condition=Ready", "node", "--all", "--timeout=180s", timeout=200
        )
    with step("waiting for the cluster's DNS"):
        kindcluster.kubectl(
            "--namespace=kube-system",
            "rollout",
            "status",
            "deployment/coredns",
            "--timeout=180s",
            timeout=200,
        )


def ensure_gpus() -> None:
    """Have every worker offer GPUs, which the scheduler counts like real ones.

    A node that was made anew, or whose kubelet forgot them, gets them again.
    """
    for node in _nodes():
        labels = node["metadata"]["labels"]
        if "node-role.kubernetes.io/control-plane" in labels:
            continue
        status, count = node["status"], str(GPUS)
        if status["capacity"].get(_GPU) == status["allocatable"].get(_GPU) == count:
            continue
        offer = {_GPU: count}
        name = node["metadata"]["name"]
        with step(f"advertising {GPUS} pretend GPUs on {name}"):
            kindcluster.kubectl(
                "patch",
                "node",
                name,
                "--subresource=status",
                "--type=merge",
                "--patch",
                json.dumps({"status": {"capacity": offer, "allocatable": offer}}),
            )


def _nodes() -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = json.loads(kindcluster.kubectl("get", "nodes", "--output=json"))[
        "items"
    ]
    return items


def _pod_ranges() -> dict[str, str]:
    """Each node's range of pod addresses, once the controller manager has dealt them out."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        ranges = {n["metadata"]["name"]: n["spec"].get("podCIDR", "") for n in _nodes()}
        if len(ranges) == 1 + kindconfig.WORKERS and all(ranges.values()):
            return ranges
        time.sleep(0.5)
    raise ClusterError("the nodes got no pod address ranges within 60 s")


def _conflist(cidr: str) -> dict[str, Any]:
    return {
        "cniVersion": "0.4.0",
        "name": "hyperband",
        "plugins": [
            {
                "type": "ptp",
                "ipMasq": False,
                "mtu": 1500,
                "ipam": {
                    "type": "host-local",
                    "dataDir": "/run/cni-ipam-state",
                    "ranges": [[{"subnet": cidr}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def _write(engine: Engine, node: str, path: str, content: str) -> None:
    capture(
        [
            "docker",
            "exec",
            "--interactive",
            node,
            "sh",
            "-c",
            f"cat > {path}.new; mv {path}.new {path}",
        ],
        env=engine.env,
        stdin=content,
    )
