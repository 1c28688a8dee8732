"""A share of the real schedules of `make chaos`: one of them with pods that kubelets run."""

from pathlib import Path

import pytest

from tests.chaos.real import run_real

pytestmark = pytest.mark.cluster

SEEDS = (0, 1, 2, 3, 9)


@pytest.mark.parametrize("seed", SEEDS)
async def test_real_schedule(kubeconfig: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    try:
        await run_real(seed)
    except Exception as error:
        raise AssertionError(f"{error}\nreplay it: make chaos REAL_SEED={seed}") from error
