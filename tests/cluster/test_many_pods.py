"""A small share of `make bench-scale`: studies on real programs, and all that they wrote."""

import asyncio

import pytest

from benchmarks.scale import cluster
from benchmarks.scale.point import Setting, measure

pytestmark = pytest.mark.cluster


def test_what_many_pods_cost() -> None:
    setting = Setting(pods=60, studies=3, foreign=60, steady=10.0, burst=30, limit=300.0)
    with cluster.running() as scene:
        figures, samples = asyncio.run(measure(scene, setting))
    assert figures.answers[1] < float("inf"), "a report at a rung was never answered"
    assert figures.trials >= 60
    assert figures.beyond == 0, figures.writes
    assert figures.touched == 0, "a new operator wrote to pods of which there was no news"
    one, all_ = figures.status_writes
    assert one <= 2, "a study's status is written once a second"  # two, a second apart, and jitter
    assert all_ <= 22
    assert {"operator", "etcd", "kube-apiserver"} <= set(samples[-1].memory)
