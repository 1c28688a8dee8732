"""What atheris begins with: good input of each kind, and the words of bad input."""

import json
import random
from collections.abc import Sequence
from typing import Final

from tests.bad_studies import REFUSED_BY_SERVER, SERVER_CANNOT_KNOW
from tests.studies import good_study

_REPORTS: Final = [{"epochs": i, "val_loss": 1 / i, "accuracy": 0.5} for i in (1, 3, 9, 27)]
_YAML: Final = (
    b"a: &a {b: [1, 0x1f, 1e-4, .inf, ~, yes]}\nc: *a\n<<: *a\n",
    b"!!int x",
    b"---\n- ? [a]\n  : |\n    text\n...\n",
    b"a: !!binary aGVsbG8=\nb: !!set {x}\nc: 2026-01-01T00:00:00Z\n",
)
DICTIONARY: Final[Sequence[bytes]] = (
    *(b'"epochs":', b'"val_loss":', b"NaN", b"Infinity", b"-Infinity", b"1e400", b"-0.0", b"null"),
    *(b"true", b'"\\ud800"', b'"inf"', b"[[[[[[[[", b'{"":', b"0" * 40, b"\\u0000", b"},{", b"[]"),
    *(b"&a ", b"*a", b"!!int ", b"!!float ", b"!!timestamp ", b"!!binary ", b"<<: ", b"? ", b"- "),
    *(b"---\n", b": ", b"'", b"|\n ", b"0x", b"1:30", b"2026-13-45", b"spec:", b"metadata:"),
    *(b"\0", b"\1", b"\2"),
)
_MADE: Final = {"metrics": (0,), "study": (0, 1, 2), "reporter": (0, 9)}


def seeds(target: str) -> list[bytes]:
    """The first inputs of a target."""
    chance = random.Random(0)
    made = [bytes([first]) + chance.randbytes(300) for first in _MADE[target] for _ in range(50)]
    return [*made, *_written(target)]


def _written(target: str) -> list[bytes]:
    if target == "metrics":
        return [json.dumps(each).encode() for each in (_REPORTS, _REPORTS[0], [], "x")]
    if target == "study":
        good = good_study()
        bad = [each.manifest() for each in (*REFUSED_BY_SERVER, *SERVER_CANNOT_KNOW)]
        return [
            *(json.dumps(each).encode() for each in [good, *bad]),
            *_YAML,
        ]
    return []
