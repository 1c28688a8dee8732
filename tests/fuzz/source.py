"""Documents made from bytes, so that any fuzzer of bytes also finds well-formed bad input.

The same bytes make the same document. Where they are used up, every choice is the first one, so
that each prefix of an input is an input, too.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from hyperband.api.schema.build import OPEN, Schema

T = TypeVar("T")

# Numbers at which something changes: signs, halves, limits of integers and floats.
NUMBERS: Final[Sequence[float]] = (
    *(0, 1, 2, 3, 27, -1, 0.5, 1.0, -0.0, 1e-5, 0.1, 1e-12, 100, 4096, 1e5, 2.5),
    *(2**31, 2**53 - 1, 2**53, 2**63, 2**64, -(2**63) - 1, 10**20, 1e15, 1e16, -1e16),
    *(5e-324, 2.2250738585072014e-308, 1e-300, 1e300, 1.7976931348623157e308, -1.7e308),
    *(float("nan"), float("inf"), float("-inf"), 10**400, -(10**400), 10**5000),
)
TEXTS: Final = (
    *("", "a", "x", "0", "1e5", "NaN", "-Infinity", "inf", "true", "null", "epochs", "val_loss"),
    *(
        "relu",
        "layers",
        "rate",
        "train",
        "digits",
        "a.b-c",
        "a/b",
        "A b",
        "-a",
        "a\n",
        "é",
        "参" * 40,
    ),
    *("\x00", "\ud800", "\udcff", "\ufffe", "\u2028", "😀", "$(HOME)", "%s", "{}", "x" * 300),
    *("hyperband.dev/x", "kubectl.kubernetes.io/default-container", "HYPERBAND_X", "x" * 5000),
    *(
        "2026-01-01T00:00:00Z",
        "0001-01-01T00:00:00+23:59",
        "2026-01-01T00:00:00",
        "/checkpoint",
        "6h",
        "999999d",
    ),
)


class Source:
    """Choices, read from bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def below(self, limit: int) -> int:
        """An integer from 0 to limit - 1, for a limit of at most 65536."""
        width = 1 if limit <= 256 else 2
        chunk = self._data[self._at : self._at + width]
        self._at += width
        return int.from_bytes(chunk) % limit

    def pick(self, items: Sequence[T]) -> T:
        """One of the items."""
        return items[self.below(len(items))]

    def often(self) -> bool:
        """True in 7 of 8 cases, and at the end of the bytes."""
        return self.below(8) != 7

    def rarely(self) -> bool:
        """True in 1 of 16 cases, and never at the end of the bytes."""
        return self.below(16) == 15

    def list(self, most: int, make: Callable[[], T]) -> list[T]:
        """Up to `most` items."""
        return [make() for _ in range(self.below(most + 1))]

    @property
    def rest(self) -> bytes:
        """What has not been used."""
        return self._data[self._at :]

    # -- values --------------------------------------------------------------------------------

    def number(self) -> float:
        """An integer or a float, often an extreme one."""
        kind = self.below(8)
        if kind < 4:
            return self.pick(NUMBERS)
        if kind < 6:
            return self.below(256) - self.below(32)
        return (self.below(65536) - 32768) / 10 ** self.below(9)

    def text(self) -> str:
        """A string, often a strange one."""
        if self.below(4):
            return self.pick(TEXTS)
        size = self.below(24)
        chunk = self._data[self._at : self._at + size]
        self._at += size
        return chunk.decode("utf-8", "surrogateescape")

    def anything(self, depth: int = 3) -> Any:
        """Whatever JSON, or Python's reading of it, can express."""
        kind = self.below(12)
        if kind < 4:
            return self.number()
        if kind < 7:
            return self.text()
        if kind == 7:
            return self.pick((None, True, False))
        if kind == 8 and self.rarely():
            return self.monster()
        if depth == 0:
            return {}
        if kind < 10:
            return self.list(5, lambda: self.anything(depth - 1))
        return {self.text(): self.anything(depth - 1) for _ in range(self.below(5))}

    def monster(self) -> Any:
        """Something large or deep."""
        kind = self.below(4)
        if kind == 0:
            return list(range(3000))
        if kind == 1:
            return {f"k{i}": i for i in range(2000)}
        if kind == 2:
            return "é" * 70_000
        nested: Any = 1
        for _ in range(self.pick((40, 120, 450))):
            nested = [nested] if kind else {"a": nested}
        return nested

    def of_schema(self, schema: Schema) -> Any:
        """A value that the schema mostly takes: seldom one of another type or size."""
        if self.rarely():
            return self.anything()
        kind = schema.get("type")
        if "enum" in schema:
            return self.pick(schema["enum"])
        if kind == "object":
            return self._object(schema)
        if kind == "array":
            return self.list(4, lambda: self.of_schema(schema["items"]))
        if kind == "string":
            return self.text()
        if kind == "boolean":
            return self.pick((False, True))
        if kind in ("integer", "number"):
            return self.number() if self.below(4) == 3 else self.below(12)
        return self.number() if self.below(2) else self.text()

    def _object(self, schema: Schema) -> dict[str, Any]:
        required = schema.get("required", ())
        value = {
            name: self.of_schema(field)
            for name, field in schema.get("properties", {}).items()
            if (self.often() if name in required else self.below(2))
        }
        if "additionalProperties" in schema:
            more = schema["additionalProperties"]
            value |= {self.text(): self.of_schema(more) for _ in range(self.below(4))}
        elif schema.get(OPEN) or self.rarely():
            value |= {self.text(): self.anything() for _ in range(self.below(4))}
        return value

    # -- mutations -----------------------------------------------------------------------------

    def mutated(self, document: Any, schema: Schema) -> Any:
        """The document, which is changed, with a few changes, mostly such as the schema takes."""
        for _ in range(1 + self.below(6)):
            document = self._mutated(document, schema)
        return document

    def _mutated(self, node: Any, schema: Schema) -> Any:
        """The node with one change, somewhere in it."""
        if isinstance(node, dict) and node and self.below(8):
            name = self.pick(list(node))
            below = schema.get("properties", {}).get(name) or schema.get("additionalProperties", {})
            action = self.below(16)
            if action == 15:
                del node[name]
            elif action == 14:
                node[self.pick(list(schema.get("properties", ())) or [name])] = self.anything()
            elif action == 13:
                node[self.text()] = node[name]
            else:
                node[name] = self._mutated(node[name], below)
            return node
        if isinstance(node, list) and node and self.below(8):
            at, action = self.below(len(node)), self.below(16)
            if action == 15:
                del node[at]
            elif action == 14:
                node.append(node[at])
            elif action > 10:
                node.append(self.of_schema(schema.get("items", {})))
            else:
                node[at] = self._mutated(node[at], schema.get("items", {}))
            return node
        return self.of_schema(schema)
