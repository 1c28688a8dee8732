"""What a trial with any library must do: go on from its checkpoint, and count on."""

from pathlib import Path
from typing import Any

import pytest

from tests.integrations.attempts import Training, script

DIES_AT = 5


def goes_on(
    folder: Path, library: str, metric: str, parameters: dict[str, Any], *, saved: int, rel: float
) -> None:
    """Promotes a trial twice, and repeats another one that has died; compares the two.

    Args:
        saved: where the one that has died at epoch 5 goes on from.
        rel: how far values of the two may be from one another: going on is training on.
    """
    text = script(library)
    for name in ("promoted", "repeated"):
        (folder / name).mkdir()
    promoted = Training(folder / "promoted", text, metric, parameters)
    attempts = [promoted.attempt(number, rung=number) for number in range(3)]
    assert [each.epochs for each in attempts] == [[1], [2, 3], [4, 5, 6, 7, 8, 9]]
    values = [value for each in attempts for value in each.values(metric)]
    assert len(set(values)) > 5, "it learns"

    repeated = Training(folder / "repeated", text, metric, parameters, mode="Stopping")
    died = repeated.attempt(0, rung=2, dies_at=DIES_AT)
    assert died.epochs == [1, 2, 3, 4]
    again = repeated.attempt(1, rung=2)
    assert again.epochs == list(range(saved + 1, 10))
    # What was promoted twice has trained as what was ended elsewhere.
    assert died.values(metric) == pytest.approx(values[:4], rel=rel)
    assert again.values(metric) == pytest.approx(values[saved:], rel=rel)
