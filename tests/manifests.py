"""YAML files as kubectl reads them."""

import re
from pathlib import Path
from typing import Any

import yaml


class _Loader(yaml.SafeLoader):
    """PyYAML alone reads 1e-4 as text."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9.]+[eE][-+]?[0-9]+$"), list("-+.0123456789")
)


def load_manifest(path: Path) -> dict[str, Any]:
    """The object in a file."""
    body: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    return body
