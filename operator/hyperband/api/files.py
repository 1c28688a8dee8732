"""Objects in YAML files, read as kubectl reads them."""

import re
from pathlib import Path
from typing import Any, Final

import yaml

from hyperband.core.errors import InvalidStudyError

MAX_BYTES: Final = 1_500_000  # more than etcd takes as one object
MAX_NODES: Final = 200_000  # of a document, each as often as aliases repeat it
_TAG: Final = "tag:yaml.org,2002"


class _Loader(yaml.SafeLoader):
    """Numbers as in YAML 1.2, where 1e-4 is one and 1:30 is none; no dates; few aliases."""

    def compose_document(self) -> yaml.Node | None:
        """The document's nodes.

        Raises:
            yaml.YAMLError: it contains itself, or too much.
        """
        node: yaml.Node | None = super().compose_document()
        _size(node, {})
        return node


_KEPT: Final = [f"{_TAG}:{kind}" for kind in ("bool", "null", "merge")]
_Loader.yaml_implicit_resolvers = {
    first: [each for each in resolvers if each[0] in _KEPT]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
# The first that matches counts; the rest of what begins like a number is text.
for _kind, _pattern in (
    ("int", r"[-+]?(0b[01]+|0x[0-9a-fA-F]+|0[0-7]*|[1-9][0-9_]*)$"),
    ("float", r"[-+]?([0-9][0-9_]*(\.[0-9_]*)?|\.[0-9][0-9_]*)([eE][-+]?[0-9]+)?$"),
    ("float", r"[-+]?\.(inf|Inf|INF)$|\.(nan|NaN|NAN)$"),
):
    _Loader.add_implicit_resolver(f"{_TAG}:{_kind}", re.compile(_pattern), list("-+.0123456789"))


def _size(node: yaml.Node | None, known: dict[yaml.Node, int]) -> int:
    """How many nodes there are with the aliases written out."""
    if not isinstance(node, yaml.CollectionNode):
        return 1
    if node not in known:
        known[node] = MAX_NODES  # until it is known: what contains itself has no end
        pairs = isinstance(node, yaml.MappingNode)
        below = [each for pair in node.value for each in pair] if pairs else node.value
        known[node] = 1 + sum(_size(each, known) for each in below)
        if known[node] > MAX_NODES:
            raise yaml.YAMLError(f"more than {MAX_NODES} values, with aliases (*name) written out")
    return known[node]


def load_manifest(path: Path) -> dict[str, Any]:
    """The only object in a file.

    Raises:
        OSError: the file cannot be read.
        InvalidStudyError: it is not YAML, or holds anything but one object.
    """
    return parse_manifest(path.read_bytes(), str(path))


def parse_manifest(content: bytes, name: str) -> dict[str, Any]:
    """The only object in the content of a file.

    Args:
        name: of the file, for the error.

    Raises:
        InvalidStudyError: it is not YAML, or holds anything but one object.
    """
    if len(content) > MAX_BYTES:
        raise InvalidStudyError(name, f"has {len(content)} bytes: give at most {MAX_BYTES}")
    try:
        documents = [each for each in yaml.load_all(content, _Loader) if each is not None]
    except Exception as error:  # PyYAML passes on what its constructors raise: !!int x, !!bool x
        problem = str(error) or type(error).__name__
        raise InvalidStudyError(name, f"is not YAML: {problem}") from error
    if len(documents) != 1 or not isinstance(documents[0], dict):
        found = f"{len(documents)} documents" if len(documents) != 1 else "no object"
        raise InvalidStudyError(name, f"holds {found}: give a file with one object")
    body: dict[str, Any] = documents[0]
    return body
