"""Objects in YAML files, read as kubectl reads them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import yaml

from hyperband.api import names
from hyperband.core.errors import InvalidStudyError

MAX_BYTES: Final = 1_500_000  # more than etcd takes as one object
MAX_NODES: Final = 200_000  # of a document, each as often as aliases repeat it
_TAG: Final = "tag:yaml.org,2002"


class _Loader(yaml.SafeLoader):
    """Numbers as in YAML 1.2, where 1e-4 is one and 1:30 is none; no dates; few aliases.

    Booleans as in YAML 1.1, of which PyYAML leaves out y and n.
    """

    bool_values: ClassVar = {**yaml.SafeLoader.bool_values, "y": True, "n": False}

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
_Loader.add_implicit_resolver(f"{_TAG}:bool", re.compile("[yYnN]$"), list("yYnN"))
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


class NoYamlError(InvalidStudyError):
    """A file that is no YAML; `line`, from 1, is where that shows."""

    def __init__(self, name: str, error: Exception) -> None:
        mark = getattr(error, "problem_mark", None)
        self.line = 1 if mark is None else mark.line + 1
        brief = getattr(error, "problem", None) or str(error) or type(error).__name__
        super().__init__(
            f"{name}:{self.line}", f"is not YAML, {brief}: mend the line, or its indentation"
        )


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file, and where its fields stand."""

    content: Any
    node: yaml.Node
    twice: tuple[tuple[str, int], ...] = ()  # keys that repeat one of their object, with lines

    def line(self, field: str) -> int:
        """The line, from 1, of a field such as ``spec.parameters[2].min``.

        That of its key; of what is not there, that of the object which it is missing from.
        """
        node, line, rest = self.node, self.node.start_mark.line, field
        while rest and (step := _step(node, rest)) is not None:
            node, line, rest = step
        return int(line) + 1


def _step(node: yaml.Node, field: str) -> tuple[yaml.Node, int, str] | None:
    """The node below one on the way to a field, its line, and what is left of the way."""
    if isinstance(node, yaml.SequenceNode):
        found = re.match(r"\[(\d+)\]\.?", field)
        if not found or int(found[1]) >= len(node.value):
            return None
        item = node.value[int(found[1])]
        return item, item.start_mark.line, field[found.end() :]
    if isinstance(node, yaml.MappingNode):
        # Keys may have dots: the longest one is meant.
        for key, item in sorted(node.value, key=lambda pair: -len(str(pair[0].value))):
            name, rest = str(key.value), field[len(str(key.value)) :]
            if field.startswith(name) and (not rest or rest[0] in ".["):
                return item, key.start_mark.line, rest.removeprefix(".")
    return None


def read_documents(content: bytes, name: str) -> list[Document]:
    """The documents in the content of a file, but for empty ones.

    Args:
        name: of the file, for the error.

    Raises:
        InvalidStudyError: it is too large.
        NoYamlError: it is not YAML.
    """
    return list(_documents(content, name))


def _documents(content: bytes, name: str) -> Iterator[Document]:
    if len(content) > MAX_BYTES:
        raise InvalidStudyError(name, f"has more than {MAX_BYTES} bytes: give at most so many")
    try:
        loader = _Loader(content)
        while loader.check_node() and (node := loader.get_node()) is not None:
            twice = tuple(_twice(node, set()))  # before merged keys are mixed in
            made = loader.construct_document(node)
            if made is not None:
                yield Document(made, node, twice)
    except Exception as error:  # PyYAML passes on what its constructors raise: !!int x, !!bool x
        raise NoYamlError(name, error) from error


def _twice(node: yaml.Node, seen: set[int]) -> Iterator[tuple[str, int]]:
    if id(node) in seen or not isinstance(node, yaml.CollectionNode):
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _twice(item, seen)
        return
    keys: set[str] = set()
    for key, item in node.value:
        name = key.value if isinstance(key, yaml.ScalarNode) else ""
        if name and name in keys:
            yield name, key.start_mark.line + 1
        keys.add(name)
        yield from _twice(item, seen)


def read_scalar(text: str) -> str | int | float | bool | None:
    """A number, boolean, null or text, as a file would have it; what is no scalar is text."""
    try:
        value = yaml.load(text, _Loader)
    except Exception:  # as above
        return text
    return value if value is None or isinstance(value, str | int | float | bool) else text


def only_study(content: bytes, name: str) -> dict[str, Any]:
    """The only study in the content of a file; other objects in it are left alone.

    Args:
        name: of the file, for the error.

    Raises:
        InvalidStudyError: it is not YAML, or has no study, or several.
    """
    found = [each.content for each in read_documents(content, name)]
    studies = [b for b in found if isinstance(b, dict) and b.get("kind") == names.STUDY_KIND]
    if len(studies) != 1:
        raise InvalidStudyError(name, f"holds {len(studies)} studies: give a file with one")
    return studies[0]


def read_file(path: Path) -> bytes:
    """What is in a file; of one that is too large, which may have no end, just more than may be.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def load_manifest(path: Path) -> dict[str, Any]:
    """The only object in a file.

    Raises:
        OSError: the file cannot be read.
        InvalidStudyError: it is not YAML, or holds anything but one object.
    """
    return parse_manifest(read_file(path), str(path))


def parse_manifest(content: bytes, name: str) -> dict[str, Any]:
    """The only object in the content of a file.

    Args:
        name: of the file, for the error.

    Raises:
        InvalidStudyError: it is not YAML, or holds anything but one object.
    """
    documents = [each.content for each in read_documents(content, name)]
    if len(documents) != 1 or not isinstance(documents[0], dict):
        found = f"{len(documents)} documents" if len(documents) != 1 else "no object"
        raise InvalidStudyError(name, f"holds {found}: give a file with one object")
    body: dict[str, Any] = documents[0]
    return body
