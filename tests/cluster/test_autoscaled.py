"""A small share of the autoscaling benchmark: what must hold whatever the machine's speed."""

import asyncio

import pytest

from benchmarks.autoscaling import cluster
from benchmarks.autoscaling.study import Setting, measure

pytestmark = pytest.mark.cluster

SETTING = Setting(
    "Promotion",
    seed=1,
    parallelism=8,
    trials=24,
    epoch=1.5,
    spot_gpus=6,
    spot_life=20.0,
    initial_pods=3,
    limit=400.0,
)


@pytest.fixture(scope="module", autouse=True)
def programs() -> None:
    """They are built before the test's time begins, where `make test` has not done so."""
    cluster.build()


def test_gpu_nodes_come_from_zero_as_they_are_used_and_go_again() -> None:
    """Karpenter's, spot and on demand, of which some are taken away meanwhile."""
    with cluster.running() as running:
        seen = asyncio.run(measure(running, SETTING))
    assert not seen.faults
    assert seen.spot_machines and seen.interrupted and seen.disrupted_pods, "it is no test else"
    assert not seen.beyond, "it floods the cluster"
    assert 3 <= seen.most_waiting < 8
    assert seen.to_zero < 180
    # The account is to the second but for pods whose end nobody could tell.
    assert abs(seen.account - seen.by_pods) < 2 + 2 * seen.untold
    # Kubernetes tells times in whole seconds; what waited would show.
    assert abs(seen.account - seen.used) < 0.5 * seen.pods < seen.waited
