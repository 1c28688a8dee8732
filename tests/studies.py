"""Good studies as manifests, changes of them, and what a server makes of JSON."""

import copy
import json
from collections.abc import Mapping
from typing import Any, Final

Manifest = dict[str, Any]

REMOVED: Final = object()  # as a value in `changes`: the field is removed


def good_study(name: str = "digits", namespace: str = "default") -> Manifest:
    """A study that the server and the operator accept, with something of everything."""
    return {
        "apiVersion": "hyperband.dev/v1alpha1",
        "kind": "HyperbandStudy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "objective": {"metric": "val_loss", "goal": "Minimize"},
            "resource": {"name": "epochs", "type": "Integer", "min": 1, "max": 27},
            "hyperband": {"eta": 3, "mode": "Promotion", "brackets": 1, "sizes": "Floor"},
            "searcher": {"type": "Random", "seed": 0},
            "parameters": [
                {"name": "rate", "type": "Float", "min": 1e-5, "max": 0.1, "scale": "Log"},
                {"name": "layers", "type": "Integer", "min": 1, "max": 4},
                {
                    "name": "activation",
                    "type": "Categorical",
                    "values": ["relu", "tanh"],
                    "weights": [0.8, 0.2],
                },
                {"name": "batch", "type": "Ordinal", "values": [32, 64, 128]},
                {
                    "name": "dropout",
                    "type": "Float",
                    "min": 0,
                    "max": 0.6,
                    "step": 0.1,
                    "when": {"layers": [2, 3, 4]},
                },
                {
                    "name": "momentum",
                    "type": "Float",
                    "distribution": "Normal",
                    "mean": 0.9,
                    "deviation": 0.05,
                    "min": 0,
                    "max": 1,
                },
                {"name": "epsilon", "type": "Constant", "value": 1e-8},
            ],
            "parallelism": 8,
            "maxTrials": 200,
            "failurePolicy": {"maxFailedTrials": 10, "retries": 3},
            "onBudget": "Finish",
            "suspend": False,
            "stop": False,
            "resume": True,
            "retention": {"pods": "24h", "logs": "Keep", "trials": 1000},
            "checkpoint": {
                "volume": {"hostPath": {"path": "/scratch"}},
                "mountPath": "/checkpoint",
                "cleanUp": "Keep",
            },
            "reporting": {"mode": "Direct"},
            "gpuResources": ["nvidia.com/gpu"],
            "scheduling": {"initialPods": 8, "pack": True},
            "trialTemplate": {
                "metadata": {"labels": {"team": "vision"}},
                "spec": {
                    "containers": [
                        {
                            "name": "train",
                            "image": "example.com/train:1",
                            "env": [{"name": "DATA", "value": "/data"}],
                            "resources": {"limits": {"nvidia.com/gpu": 1}},
                        }
                    ]
                },
            },
        },
    }


def large_study(name: str = "large", namespace: str = "default") -> Manifest:
    """As many parameters as the schema takes: long names, many values, conditions, points."""
    names = [f"a.rather-long/parameter_name_{i:03d}".ljust(60, "x") for i in range(200)]
    values = [f"value-{i:04d}" for i in range(64)]
    parents = dict.fromkeys(names[:10], values[:8])
    parameters: list[Manifest] = [
        {"name": each, "type": "Categorical", "values": values, "weights": [1] * len(values)}
        for each in names
    ]
    for parameter in parameters[10:]:
        parameter["when"] = parents
    return changed(
        good_study(name, namespace),
        {
            "spec.parameters": parameters,
            # As many as the admission policy looks at.
            "spec.initialParameters": [dict.fromkeys(names, values[-1])] * 10,
        },
    )


def changed(manifest: Manifest, changes: Mapping[str, Any]) -> Manifest:
    """A copy with the values at dotted paths (list items by number) replaced or removed."""
    result = copy.deepcopy(manifest)
    for path, value in changes.items():
        *parents, last = path.split(".")
        node: Any = result
        for step in parents:
            node = node[int(step)] if isinstance(node, list) else node.setdefault(step, {})
        if value is REMOVED:
            del node[last]
        elif isinstance(node, list):
            node[int(last) : int(last) + 1] = [value]
        else:
            node[last] = value
    return result


def through_server(body: Any) -> Any:
    """The body written as JSON, and as a server gives it back: keys sorted, 1.0 as 1."""
    return _as_go(json.loads(json.dumps(body, allow_nan=False)))


def _as_go(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _as_go(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_as_go(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return int(value)
    return value
