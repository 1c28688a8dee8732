"""Objects in YAML files, read as kubectl reads them."""

import re
from pathlib import Path
from typing import Any

import yaml

from hyperband.core.errors import InvalidStudyError


class _Loader(yaml.SafeLoader):
    """Numbers as in YAML 1.2: PyYAML alone reads 1e-4 as text."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9.]+[eE][-+]?[0-9]+$"), list("-+.0123456789")
)


def load_manifest(path: Path) -> dict[str, Any]:
    """The only object in a file.

    Raises:
        OSError: the file cannot be read.
        InvalidStudyError: it is not YAML, or holds anything but one object.
    """
    try:
        documents = [each for each in yaml.load_all(path.read_bytes(), _Loader) if each is not None]
    except yaml.YAMLError as error:
        raise InvalidStudyError(str(path), f"is not YAML: {error}") from error
    if len(documents) != 1 or not isinstance(documents[0], dict):
        found = f"{len(documents)} documents" if len(documents) != 1 else "no object"
        raise InvalidStudyError(str(path), f"holds {found}: give a file with one object")
    body: dict[str, Any] = documents[0]
    return body
