"""What the recovery benchmark writes is what an operator reads."""

import msgspec

from benchmarks.recovery import PARALLELISM, played, record, study_body
from hyperband.api.study import parse_study
from hyperband.api.trial import parse_trial, trial_manifest, trial_status
from hyperband.backends.kubernetes.objects import CustomObject
from hyperband.core.engine import Engine
from hyperband.core.records import TrialState

SIZE = 60


def test_played_trials_are_read_back_as_they_were() -> None:
    body = study_body(SIZE)
    body["metadata"] |= {"namespace": "n", "uid": "u"}
    study = parse_study(body)
    engine = Engine(study.study)
    trials = played(study, SIZE)
    assert [trial.index for trial in trials] == list(range(SIZE))
    assert sum(trial.state.active for trial in trials) in (PARALLELISM - 1, PARALLELISM)
    assert {TrialState.PAUSED, TrialState.COMPLETED} <= {trial.state for trial in trials}
    for trial in trials:
        made = trial_manifest(study, trial)
        made["metadata"]["uid"] = f"u{trial.index}"
        item = msgspec.convert(made, CustomObject)
        whole = record(study, trial, item, engine)
        read = parse_trial(
            msgspec.convert({**made, "status": trial_status(whole)}, CustomObject), engine
        )
        assert read == whole
