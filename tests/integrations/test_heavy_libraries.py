"""Keras, PyTorch Lightning and Hugging Face's Trainer, for real: `make test-integrations`."""

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.integrations.goes_on import goes_on

PARAMETERS = {"learning_rate": 0.01}


def needs(library: str) -> pytest.MarkDecorator:
    """With INTEGRATIONS set, a library that is missing is no reason to pass."""
    missing = find_spec(library) is None and "INTEGRATIONS" not in os.environ
    return pytest.mark.skipif(missing, reason=f"{library} is not there: make test-integrations")


@needs("keras")
def test_keras(tmp_path: Path) -> None:
    goes_on(tmp_path, "Keras", "val_loss", PARAMETERS, saved=5, rel=1e-3)


@needs("lightning")
def test_lightning(tmp_path: Path) -> None:
    goes_on(tmp_path, "PyTorch Lightning", "val_loss", PARAMETERS, saved=5, rel=1e-3)


@needs("transformers")
def test_hugging_face(tmp_path: Path) -> None:
    goes_on(tmp_path, "Hugging Face Trainer", "eval_loss", PARAMETERS, saved=5, rel=1e-3)
