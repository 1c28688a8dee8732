"""What the autoscaling benchmark counts as paid, used, waiting and too many."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from benchmarks.autoscaling.ledger import SIGHT_SECONDS, Idle, Ledger, NodeClaim
from hyperband.backends.kubernetes.objects import Pod


def moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def claim(name: str, type_: str = "gpu-4", node: str = "n") -> NodeClaim:
    labels = {"node.kubernetes.io/instance-type": type_, "karpenter.sh/capacity-type": "spot"}
    metadata = {"name": name, "uid": name, "labels": labels}
    return msgspec.convert({"metadata": metadata, "status": {"nodeName": node}}, NodeClaim)


def pod(
    name: str,
    *,
    node: str = "",
    began: float | None = None,
    ended: float | None = None,
    **more: Any,
) -> Pod:
    """One that waits; or is bound to a node, has begun, has ended."""
    status: dict[str, Any] = {"phase": "Pending", "conditions": more.pop("conditions", [])}
    if began is not None:
        status |= {"phase": "Running", "startTime": moment(began)}
        state: dict[str, Any] = {"running": {"startedAt": moment(began)}}
        if ended is not None:
            status["phase"] = "Succeeded"
            terminated = {"startedAt": moment(began), "finishedAt": moment(ended), "exitCode": 0}
            state = {"terminated": terminated}
        status["containerStatuses"] = [{"name": "train", "state": state}]
    container = {"name": "train", "resources": {"limits": {"nvidia.com/gpu": "1"}}}
    gates = [{"name": gate} for gate in more.pop("gates", ())]
    spec = {"containers": [container], "nodeName": node or None, "schedulingGates": gates}
    metadata = {"name": name, "uid": more.pop("uid", name), **more}
    return msgspec.convert({"metadata": metadata, "spec": spec, "status": status}, Pod)


def test_a_machine_is_paid_until_it_is_gone_and_used_while_pods_run_on_it() -> None:
    ledger = Ledger(8)
    ledger.claim(claim("c", node=""), 100)
    ledger.claim(claim("c"), 102)
    ledger.pod(pod("p"), 103)
    ledger.pod(pod("p", node="n"), 109)
    assert ledger.used == 0, "it is bound and does not run"
    ledger.pod(pod("p", node="n", began=110), 110)
    ledger.pod(pod("p", node="n", began=110, ended=140), 140)
    ledger.pod_gone(pod("p", node="n", began=110, ended=140), 141)
    assert ledger.rented == ["c"]
    ledger.claim_gone("c", 150)
    assert not ledger.rented
    assert ledger.paid(999) == 4 * 50
    assert ledger.used == 30
    assert ledger.idle(999) == Idle(booting=4 * 10, between=3 * 30, leaving=4 * 10)
    assert ledger.waited == 6
    assert ledger.accounts == {"p": (30, True)}


def test_a_pod_that_is_taken_away_has_run_until_then() -> None:
    ledger = Ledger(8)
    ledger.claim(claim("c"), 100)
    ledger.pod(pod("p", node="n", began=110), 110)
    ending = pod("p", node="n", began=110, deletionTimestamp=moment(150))
    ledger.pod(ending, 120)
    ledger.pod_gone(ending, 125)
    assert ledger.used == 15
    assert ledger.accounts == {"p": (15, False)}


def test_a_machine_that_no_pod_has_used_was_for_nothing() -> None:
    ledger = Ledger(8)
    ledger.claim(claim("c", "gpu-8"), 100)
    ledger.claim_gone("c", 130)
    assert ledger.idle(130) == Idle(booting=240, between=0, leaving=0)


def test_gated_pods_do_not_wait_for_a_node() -> None:
    """They are in a queue, and the scheduler passes over them."""
    ledger = Ledger(2)
    why = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}
    for number in range(9):
        ledger.pod(pod(f"p{number}", gates=["team/quota"], conditions=[why]), 100)
    assert (ledger.most_waiting, ledger.most_unschedulable, ledger.beyond) == (0, 0, [])
    ledger.pod(pod("p0", conditions=[why | {"reason": "Unschedulable"}]), 110)
    assert (ledger.most_waiting, ledger.most_unschedulable) == (1, 1)
    assert ledger.used == ledger.waited == 0


@pytest.mark.parametrize(("placed", "made", "beyond"), [(0, 3, 1), (3, 3, 0), (3, 5, 2)])
def test_pods_that_flood_the_cluster_are_named(placed: int, made: int, beyond: int) -> None:
    ledger = Ledger(2)
    for number in range(placed):
        ledger.pod(pod(f"r{number}", node="n", began=100), 100)
    for number in range(made):
        ledger.pod(pod(f"w{number}"), 101)
        ledger.pod(pod(f"w{number}"), 101)  # each change of it counts once
    assert len(ledger.beyond) == beyond
    assert ledger.most_waiting == made


def test_what_an_operator_could_not_know_yet_is_no_flood() -> None:
    ledger = Ledger(1)
    for number in range(3):
        ledger.pod(pod(f"r{number}", node="n", began=100), 100)
    for number in range(3):
        ledger.pod(pod(f"r{number}", node="n", began=100, ended=101), 101)
    ledger.pod(pod("w0"), 102)
    ledger.pod(pod("w1"), 102)
    assert not ledger.beyond
    ledger.pod(pod("w2"), 102 + SIGHT_SECONDS)
    assert ledger.beyond == ["w2"]


def test_an_attempt_that_is_made_twice_has_two_pods() -> None:
    ledger = Ledger(8)
    ledger.pod(pod("p", uid="1"), 100)
    ledger.pod(pod("p", uid="1"), 101)
    assert ledger.attempts == {"p": {"1"}}
    ledger.pod(pod("p", uid="2"), 102)
    assert ledger.attempts == {"p": {"1", "2"}}


def test_what_comes_after_the_last_new_trial_is_told_apart() -> None:
    ledger = Ledger(8)
    ledger.claim(claim("c"), 100)
    ledger.pod(pod("p-0-0", node="n", began=110, labels={"hyperband.dev/attempt": "0"}), 110)
    ledger.pod(pod("p-1-0", labels={"hyperband.dev/attempt": "0"}), 120)
    ledger.pod(pod("p-0-1", labels={"hyperband.dev/attempt": "1"}), 150)
    assert ledger.growing == (4 * 20, 10)
