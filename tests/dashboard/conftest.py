"""What several tests of the page show."""

import copy

import pytest

from hyperband.dashboard.snapshot import Live, Snapshot
from tests.dashboard.played import objects


def enlarged(trials: int) -> Live:
    """So many trials: those of a simulated study again and again, each a little different."""
    study, others = objects()
    made = Live()
    study["metadata"]["namespace"] = "default"
    study["spec"]["maxTrials"] = trials
    made.see_study(study)
    most = 1 + max(rung["sequence"] for each in others for rung in each["status"]["rungs"])
    for index in range(trials):
        turn, which = divmod(index, len(others))
        body = copy.deepcopy(others[which])
        body["spec"]["index"], body["metadata"]["name"] = index, f"digits-{index}"
        for rung in body["status"]["rungs"]:
            rung["sequence"] += turn * most
            rung["value"] *= 1 + 0.001 * (index % 97)
        for attempt in body["status"]["attempts"]:
            attempt["pod"] = f"digits-{index}-{attempt['number']}"
        made.see_trial(body)
    return made


@pytest.fixture(scope="session")
def many() -> Snapshot:
    """A study of ten thousand trials."""
    return enlarged(10_000).snapshot()[0]
