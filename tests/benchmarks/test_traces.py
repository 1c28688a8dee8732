"""Our stopping and promotion decide as the peer's on its recorded traces, up to ties.

A tie: the peer interpolates between values in floating point. Where its quantile falls exactly on
the value in question, rounding decides; ours counts ranks in integers and lets the trial go on.
"""

import gzip
import json
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from benchmarks.search_quality.traces import NEW, TRACES, Ours, Trace, play
from hyperband.core.decisions import Action
from hyperband.core.records import Report, Suggestion, Trial, TrialState

RECORDED = Path(__file__).parents[1] / "golden/peer-traces.json.gz"


class Follower(Ours):
    """Ours, made to follow the peer where they differ, which must be in ties alone."""

    def __init__(self, trace: Trace, recorded: Sequence[int]) -> None:
        super().__init__(trace)
        self._recorded = iter(recorded)
        self.ties = 0

    def next(self) -> int:
        theirs = next(self._recorded)
        decision = self.engine.launch()
        assert decision is not None
        ours = NEW if decision.action is Action.START else decision.trial.index
        record = decision.trial
        if ours != theirs:
            assert ours != NEW, f"the peer promotes {theirs}, ours nothing"
            self._tie(self.engine.trials[ours])
            record = self._new() if theirs == NEW else self._promoted(theirs)
        self.engine.put(record)
        return theirs

    def goes_on(self, trial: int, resource: float, value: float) -> bool:
        theirs = bool(next(self._recorded))
        decision = self.engine.observe(trial, [Report(resource, value)])
        assert decision is not None
        record = decision.trial
        if theirs != (decision.action is Action.CONTINUE):
            assert not theirs, f"trial {trial} goes on with the peer, not with ours"
            self._tie(record)
            record = replace(record, state=TrialState.STOPPED)
        self.engine.put(record)
        return theirs

    def _tie(self, trial: Trial) -> None:
        """The trial is just good enough, and the quantile is its own value."""
        level, value = trial.rungs[-1].level, trial.rungs[-1].value
        standing = self.engine.rungs.standing(trial, level, value)
        ladder = self.engine.ladder
        quotient = Fraction(ladder[level]) / Fraction(ladder[level + 1])
        assert standing.rank == standing.limit
        assert ((standing.values - 1) * quotient).denominator == 1
        self.ties += 1

    def _new(self) -> Trial:
        engine = self.engine
        bracket = len(engine.ladder) - 1
        return engine.new_trial(len(engine.trials), bracket, Suggestion({"x": 0.5}, "test"))

    def _promoted(self, index: int) -> Trial:
        trial = self.engine.trials[index]
        level, value = trial.rungs[-1].level, trial.rungs[-1].value
        assert self.engine.rungs.standing(trial, level, value).good_enough
        return replace(trial, state=TrialState.PENDING, target=level + 1, attempt=trial.attempt + 1)


def test_decisions_equal_the_peers_on_recorded_traces() -> None:
    traces = json.loads(gzip.decompress(RECORDED.read_bytes()))
    assert len(traces) == TRACES == 1_000
    ties = 0
    for number, recorded in enumerate(traces):
        follower = Follower(Trace(number), recorded)
        assert play(Trace(number), follower) == recorded
        ties += follower.ties
    assert ties < 0.01 * sum(map(len, traces))


def test_traces_decide_something() -> None:
    """Both modes, trials that end and trials that go on, at all sizes of the cluster."""
    traces = [Trace(number) for number in range(100)]
    assert {trace.slots for trace in traces} == set(range(1, 9))
    for mode in ("Stopping", "Promotion"):
        decisions = [d for t in traces if t.mode == mode for d in play(t, Ours(t))]
        assert decisions.count(NEW) < len(decisions) / 2
        assert any(decision > 0 for decision in decisions)
