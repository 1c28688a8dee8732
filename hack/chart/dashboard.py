"""The chart's Grafana dashboard, laid out from the panels in dashboard.yaml."""

from pathlib import Path
from typing import Any, Final

import yaml

SOURCE: Final = Path(__file__).with_suffix(".yaml")
DATA: Final = {"type": "prometheus", "uid": "${datasource}"}
COLUMNS: Final = 24
SIZE: Final = (8, 8)  # of a panel, width and height, unless its kind has another
SIZES: Final = {"stat": (4, 4)}


def dashboard() -> dict[str, Any]:
    """What Grafana imports."""
    panels: list[dict[str, Any]] = []
    top = 0
    for row in yaml.safe_load(SOURCE.read_text(encoding="utf-8")):
        place = {"x": 0, "y": top, "w": COLUMNS, "h": 1}
        panels.append({"id": len(panels) + 1, "type": "row", "title": row["row"], "gridPos": place})
        top = _lay_out(panels, row["panels"], top + 1)
    studies = 'label_values(hyperband_study_trials{namespace=~"$namespace"}, study)'
    return {
        "uid": "hyperband",
        "title": "Hyperband",
        "tags": ["hyperband"],
        "timezone": "browser",
        "schemaVersion": 39,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {
            "list": [
                {"name": "datasource", "type": "datasource", "query": "prometheus"},
                _variable("namespace", "label_values(hyperband_study_trials, namespace)"),
                _variable("study", studies),
            ]
        },
        "panels": panels,
    }


def _variable(name: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "type": "query",
        "datasource": DATA,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        "includeAll": True,
        "allValue": ".*",
        "multi": True,
        "current": {"text": "All", "value": "$__all"},
    }


def _lay_out(panels: list[dict[str, Any]], row: list[dict[str, Any]], top: int) -> int:
    """Adds panels from left to right; returns the line below them."""
    left = height = 0
    for panel in row:
        width, tall = SIZES.get(panel.get("kind", ""), SIZE)
        if left + width > COLUMNS:
            left, top, height = 0, top + height, 0
        place = {"x": left, "y": top, "w": width, "h": tall}
        panels.append(_panel(len(panels) + 1, panel, place))
        left, height = left + width, max(height, tall)
    return top + height


def _panel(number: int, panel: dict[str, Any], place: dict[str, int]) -> dict[str, Any]:
    kind = panel.get("kind", "timeseries")
    graph = kind == "timeseries"
    defaults: dict[str, Any] = {"unit": panel["unit"]}
    if graph:
        defaults["custom"] = {"fillOpacity": 10, "showPoints": "never"}
    if panel.get("stacked"):
        defaults["custom"] |= {"fillOpacity": 40, "stacking": {"mode": "normal", "group": "A"}}
    legend = {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True}}
    return {
        "id": number,
        "type": kind,
        "title": panel["title"],
        "description": panel.get("text", ""),
        "datasource": DATA,
        "gridPos": place,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": legend if graph else {"reduceOptions": {"calcs": ["lastNotNull"]}},
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": DATA,
                "expr": query["expr"],
                "legendFormat": query.get("legend", "__auto"),
                "instant": not graph,
                "range": graph,
            }
            for index, query in enumerate(panel["queries"])
        ],
    }
