"""scikit-learn, XGBoost and LightGBM, for real: docs/how-to/libraries.md as trials run it."""

from pathlib import Path

from tests.integrations.goes_on import goes_on


def test_scikit_learn(tmp_path: Path) -> None:
    goes_on(tmp_path, "scikit-learn", "val_loss", {"alpha": 1e-3}, saved=5, rel=1e-9)


def test_xgboost(tmp_path: Path) -> None:
    goes_on(tmp_path, "XGBoost", "valid-logloss", {"eta": 0.3}, saved=3, rel=1e-5)


def test_lightgbm(tmp_path: Path) -> None:
    parameters = {"learning_rate": 0.3}
    goes_on(tmp_path, "LightGBM", "valid-binary_logloss", parameters, saved=3, rel=1e-2)
