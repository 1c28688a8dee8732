"""LightGBM in a study: the resource is the rounds of boosting.

    hyperband = HyperbandCallback(rounds=270)
    lightgbm.train(
        params, train, hyperband.rounds, valid_sets=[valid], valid_names=["valid"],
        init_model=hyperband.model, callbacks=[hyperband],
    )

Reports each metric of each set in `valid_sets` as `SET-METRIC`: `valid-binary_logloss`. Leave
`early_stopping` out: the study stops what is not worth going on with.
"""

import lightgbm
from lightgbm.callback import CallbackEnv, EarlyStopException

from hyperband.report._checkpoints import checkpoint
from hyperband.report._span import Span

__all__ = ["HyperbandCallback"]


class HyperbandCallback:
    """Reports each round, saves the model, and ends training where the operator says.

    With several machines, pass it to one of them; the others need `hyperband.rounds`.

    Attributes:
        rounds: to train now, as `num_boost_round` or `n_estimators`.
        model: what to go on from, as `init_model`; None at the beginning.
        order: when LightGBM calls it: after what records evaluations, before what stops early.
    """

    def __init__(self, rounds: int, save_every: int = 10) -> None:
        """Looks for the trial's checkpoint.

        Args:
            rounds: that a run by hand trains.
            save_every: rounds from one checkpoint to the next; rungs have theirs in any case.
        """
        self._span = Span(rounds, "rounds", save_every)
        self.order = 25
        self.rounds = self._span.left
        path = self._span.resumed
        self.model = None if path is None else lightgbm.Booster(model_file=path)

    def __call__(self, env: CallbackEnv) -> None:
        """Called by LightGBM after each round."""
        done = env.iteration + 1  # counts those of init_model
        if self._span.saves(done):
            with checkpoint(done, suffix=".txt") as path:
                env.model.save_model(path)
        results = env.evaluation_result_list or []
        self._span.report(done, {f"{each[0]}-{each[1]}": each[2] for each in results})
        if self._span.ends(done) and done < env.end_iteration:
            raise EarlyStopException(env.iteration, results)
