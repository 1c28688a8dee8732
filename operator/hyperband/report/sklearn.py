"""scikit-learn in a study: the resource is epochs, of an estimator that learns on by `partial_fit`.

def epoch(model):
    model.partial_fit(x, y, classes=classes)

def measure(model):
    return {"val_loss": log_loss(y_valid, model.predict_proba(x_valid))}

model = train(SGDClassifier(loss="log_loss", **parameters()), epoch, measure, epochs=27)
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import joblib  # what scikit-learn itself stores estimators with

from hyperband.report._checkpoints import checkpoint
from hyperband.report._span import Span

__all__ = ["train"]

Model = TypeVar("Model")


def train(
    model: Model,
    epoch: Callable[[Model], object],
    measure: Callable[[Model], Mapping[str, Any]],
    *,
    epochs: int,
    save_every: int = 1,
) -> Model:
    """Trains up to where the operator says; saves and reports each epoch. Returns the estimator.

    Args:
        model: the estimator; where there is a checkpoint, that one goes on instead. With several
            objects that belong together (a scaler), pass them as a tuple.
        epoch: trains it for one epoch, in place: `model.partial_fit(…)`, in batches or in one.
        measure: the metrics to report, by name.
        epochs: that a run by hand trains.
        save_every: epochs from one checkpoint to the next; rungs have theirs in any case.
    """
    span = Span(epochs, "epochs", save_every)
    if span.resumed is not None:
        model = joblib.load(span.resumed)
    for done in range(span.done + 1, span.done + span.left + 1):
        epoch(model)
        metrics = measure(model)
        if span.saves(done):
            with checkpoint(done, suffix=".joblib") as path:
                joblib.dump(model, path)
        span.report(done, metrics)
    return model
