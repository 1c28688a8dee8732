"""A benchmark's search space as `spec.parameters` of a study, from its config_space.json."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

Parameters = list[dict[str, Any]]


def parameters(config_space: Mapping[str, Any], drop: tuple[str, ...], prefix: str) -> Parameters:
    """The parameters in the order of the file.

    Args:
        config_space: ConfigSpace's own JSON.
        drop: what is no parameter of the training: the epoch, the task.
        prefix: what the names begin with and need not.

    Raises:
        ValueError: a condition that `when` cannot express.
    """
    when: defaultdict[str, dict[str, list[Any]]] = defaultdict(dict)
    for condition in config_space["conditions"]:
        child, parent = (condition[k].removeprefix(prefix) for k in ("child", "parent"))
        if condition["type"] not in ("EQ", "IN") or parent in when[child]:
            raise ValueError(f"`when` cannot express {condition}")
        values = condition["values"] if condition["type"] == "IN" else [condition["value"]]
        when[child][parent] = values
    rows: Parameters = []
    for given in config_space["hyperparameters"]:
        if given["name"] in drop:
            continue
        row = {"name": given["name"].removeprefix(prefix), **_domain(given)}
        if row["name"] in when:
            row["when"] = when[row["name"]]
        rows.append(row)
    return rows


def _domain(given: Mapping[str, Any]) -> dict[str, Any]:
    match given["type"]:
        case "categorical":
            return {"type": "Categorical", "values": given["choices"]}
        case "uniform_int" | "uniform_float" as kind:
            domain = {
                "type": "Integer" if kind == "uniform_int" else "Float",
                "min": _plain(given["lower"]),
                "max": _plain(given["upper"]),
            }
            return {**domain, "scale": "Log"} if given["log"] else domain
        case other:
            raise ValueError(f"{given['name']}: no parameter is like {other}")


def _plain(bound: float) -> float:
    """0.1 where the file has 0.10000000000000002, the exponential of a logarithm."""
    return bound if isinstance(bound, int) else float(f"{bound:.12g}")
