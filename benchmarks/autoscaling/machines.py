"""The GPU machines that Karpenter may rent, and its settings. Pure."""

from typing import Any, Final

GPU: Final = "nvidia.com/gpu"
CAPACITY_LABEL: Final = "karpenter.sh/capacity-type"
TYPE_LABEL: Final = "node.kubernetes.io/instance-type"
SPOT: Final = "spot"
ON_DEMAND: Final = "on-demand"
# GPUs by type. A GPU costs the same on each, so that nothing but the fit decides.
TYPES: Final = {"gpu-1": 1, "gpu-4": 4, "gpu-8": 8}
PRICES: Final = {SPOT: 1.0, ON_DEMAND: 2.5}  # an hour and GPU
NODE_CLASS: Final = "gpu"

Body = dict[str, Any]


def instance_types() -> list[Body]:
    """The file that Karpenter's KWOK provider reads."""
    return [
        {
            "name": name,
            "architecture": "amd64",
            "operatingSystems": ["linux"],
            "resources": {
                "cpu": str(12 * gpus),
                "memory": f"{120 * gpus}Gi",
                "ephemeral-storage": "500Gi",
                "pods": "110",
                GPU: str(gpus),
            },
            "offerings": [_offering(capacity, gpus) for capacity in PRICES],
        }
        for name, gpus in TYPES.items()
    ]


def _offering(capacity: str, gpus: int) -> Body:
    wanted = {CAPACITY_LABEL: capacity, "topology.kubernetes.io/zone": "zone-a"}
    return {
        "Price": PRICES[capacity] * gpus,
        "Available": True,
        "Requirements": [{"key": k, "operator": "In", "values": [v]} for k, v in wanted.items()],
    }


def node_class(boot_seconds: int) -> Body:
    """How long a machine takes from its launch until its node registers."""
    return {
        "apiVersion": "karpenter.kwok.sh/v1alpha1",
        "kind": "KWOKNodeClass",
        "metadata": {"name": NODE_CLASS},
        "spec": {"nodeRegistrationDelay": f"{boot_seconds}s"},
    }


def node_pools(spot_gpus: int, consolidate_after: int) -> list[Body]:
    """Spot machines first, on-demand ones where there are no more of them.

    Args:
        spot_gpus: so many are to be had.
        consolidate_after: seconds without a change of its pods after which a node may go.
    """
    limited = _node_pool(SPOT, 10, consolidate_after)
    limited["spec"]["limits"] = {GPU: str(spot_gpus)}
    return [limited, _node_pool(ON_DEMAND, 1, consolidate_after)]


def _node_pool(capacity: str, weight: int, consolidate_after: int) -> Body:
    template = {
        "spec": {
            "nodeClassRef": {
                "group": "karpenter.kwok.sh",
                "kind": "KWOKNodeClass",
                "name": NODE_CLASS,
            },
            "taints": [{"key": GPU, "effect": "NoSchedule"}],
            "requirements": [
                {"key": CAPACITY_LABEL, "operator": "In", "values": [capacity]},
                {"key": TYPE_LABEL, "operator": "In", "values": list(TYPES)},
            ],
            "expireAfter": "Never",
        }
    }
    return {
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodePool",
        "metadata": {"name": capacity},
        "spec": {
            "weight": weight,
            "template": template,
            "disruption": {
                "consolidationPolicy": "WhenEmptyOrUnderutilized",
                "consolidateAfter": f"{consolidate_after}s",
                # Karpenter's own bound of 10 % lets one of 8 nodes go at a time.
                "budgets": [{"nodes": "100%"}],
            },
        },
    }
