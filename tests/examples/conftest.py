"""Data for the examples in Python."""

import gzip
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten noisy prototypes, 30 rows each: 64 integers from 0 to 16, and the label."""
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 10
    pixels = rng.integers(0, 17, (10, 64))[labels] + rng.integers(-4, 5, (300, 64))
    rows = np.column_stack([pixels.clip(0, 16), labels])
    path = tmp_path_factory.mktemp("data") / "digits.csv.gz"
    text = "\n".join(",".join(map(str, row)) for row in rows)
    path.write_bytes(gzip.compress(text.encode()))
    return path
