"""When a pod that was told to end is called stuck, and what is said of it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from hyperband.api import names
from hyperband.backends.kubernetes.objects import Pod
from hyperband.backends.kubernetes.waits import WaitCounter, is_stuck, seconds_until_stuck

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DELETED = {"deletionTimestamp": (NOW + timedelta(seconds=5)).isoformat()}
ENDED = {"annotations": {names.ENDED_ANNOTATION: f"{NOW.isoformat()} the study is suspended"}}


def pod(phase: str = "Running", **metadata: Any) -> Pod:
    body = {
        "metadata": {"name": "s-0-0", "uid": "u", **metadata},
        "spec": {"nodeName": "worker", "terminationGracePeriodSeconds": 2},
        "status": {"phase": phase},
    }
    return msgspec.convert(body, Pod)


@pytest.mark.parametrize(
    ("seen", "seconds"),
    [
        (pod(**DELETED), 5 + 15),
        (pod(**ENDED), 2 + 15),  # by its deadline; deleted if it does not obey
        (pod("Failed", **DELETED), None),
        (pod(), None),
    ],
)
def test_a_pod_that_was_told_to_end_is_looked_at_when_it_should_be_gone(
    seen: Pod, seconds: float | None
) -> None:
    assert seconds_until_stuck([seen], NOW) == seconds
    assert seconds_until_stuck([seen, pod()], NOW + timedelta(seconds=21)) is None


def test_a_pod_on_a_dead_node_is_named_with_what_an_administrator_can_do() -> None:
    counter = WaitCounter()
    counter.look_at([pod(**DELETED)], NOW + timedelta(seconds=20))
    assert not counter.found
    counter.look_at([pod(**DELETED), pod("Failed", **DELETED)], NOW + timedelta(seconds=21))
    assert is_stuck(pod(**DELETED), NOW + timedelta(seconds=21))
    count, words = counter.found["Terminating"]
    assert count == 1
    assert words.startswith("s-0-0 on worker does not end")
    assert "kubectl delete node worker" in words
