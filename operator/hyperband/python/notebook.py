"""A study as a notebook shows it."""

import html
from collections.abc import Mapping
from typing import Any

from hyperband.api.words import condition, number, status_word


def table(body: Mapping[str, Any]) -> str:
    """What a study searches, how it stands and its best, as HTML."""
    rows = "".join(
        f"<tr><th style='text-align:left'>{html.escape(key)}</th>"
        f"<td style='text-align:left'>{html.escape(value)}</td></tr>"
        for key, value in _rows(body).items()
    )
    return f"<table>{rows}</table>"


def _rows(body: Mapping[str, Any]) -> dict[str, str]:
    """What is told of a study, by its name."""
    spec, status = body["spec"], body.get("status") or {}
    objective, resource = spec["objective"], spec["resource"]
    rows = {
        "study": body["metadata"]["name"],
        "objective": f"{objective['metric']} ({objective.get('goal', 'Minimize')})",
        "resource": f"{resource['name']}, {number(resource['min'])} to {number(resource['max'])}",
        "parameters": ", ".join(each["name"] for each in spec["parameters"]),
        "trials": f"{(status.get('trials') or {}).get('total', 0)} of {spec['maxTrials']}",
    }
    if status:
        rows["status"] = f"{status_word(body)}: {condition(body, 'Progressing').get('message', '')}"
    best = status.get("best")
    if best:
        given = ", ".join(f"{name}={number(v)}" for name, v in best["parameters"].items())
        rows["best"] = f"{best['text']} at {number(best['resource'])}, {best['trial']}: {given}"
    return rows
