"""Three operator processes for the same six namespaces: each works in its share of them."""

import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import pytest

from hyperband.api import names
from hyperband.backends.kubernetes.lease import Observed, Place
from tests.cluster.harness import (
    Bench,
    Operator,
    bench,
    census,
    check_promotions,
    check_records,
    condition,
    eventually,
    study,
    trainer,
)

pytestmark = pytest.mark.cluster

LEASE_SECONDS = 15  # as people get it: a Lease that is lost for a moment is taken up anew
TRIALS = 4


@contextmanager
def three_operators(namespaces: Sequence[str], folder: Path) -> Iterator[list[Operator]]:
    """All are ended with the test."""
    made = [Operator(namespaces, folder / f"{n}.log", LEASE_SECONDS) for n in "abc"]
    try:
        for operator in made:
            operator.start()
        yield made
    finally:
        for operator in made:
            if operator.alive:
                operator.kill(signal.SIGTERM)
            assert "Traceback" not in operator.text()


async def holder(here: Bench) -> int:
    """The process that has the namespace's Lease."""
    lease = Observed(here.client, Place(here.namespace, names.NAMESPACE_LEASE), time.monotonic)
    await lease.look()
    _, pid, _ = f"{lease.holder}__".split("_", 2)
    return int(pid or 0)


async def shared(benches: Sequence[Bench], *shares: tuple[Operator, int]) -> None:
    """Waits until each of these operators leads in so many namespaces."""
    wanted = {operator.pid: count for operator, count in shares}

    async def so() -> bool:
        return Counter([await holder(here) for here in benches]) == wanted

    await eventually(so, f"the namespaces are shared as {sorted(wanted.values())}")


async def begun(here: Bench) -> None:
    async def runs() -> bool:
        return any(pod.status.phase == "Running" for pod in await here.pods("s"))

    await eventually(runs, "a pod runs")


async def finished(here: Bench) -> None:
    """The study ends as if one operator had been there all the time."""
    body = await here.finished("s")
    trials = await here.trials("s")
    assert condition(body, "Succeeded") == "True"
    check_records(trials, TRIALS)
    check_promotions(trials, eta=3)
    assert all(t["status"]["failures"] == t["status"]["disruptions"] == 0 for t in trials)


async def test_namespaces_go_from_one_that_is_killed_to_the_others_and_back(
    kubeconfig: str, six_namespaces: list[str], tmp_path: Path
) -> None:
    async with AsyncExitStack() as opened:
        benches, counted = [], []
        for namespace in six_namespaces:
            here = await opened.enter_async_context(bench(kubeconfig, namespace))
            benches.append(here)
            counted.append(await opened.enter_async_context(census(here)))
        a, b, c = opened.enter_context(three_operators(six_namespaces, tmp_path))
        await shared(benches, (a, 2), (b, 2), (c, 2))
        for here in benches:
            await here.apply(study("s", trainer(pause=2.0), maxTrials=TRIALS, parallelism=2))
        for here in benches:
            await begun(here)
        assert all(each.text().count("s: taken up") == 2 for each in (a, b, c))
        a.kill()
        await shared(benches, (b, 3), (c, 3))
        a.start()
        await shared(benches, (a, 2), (b, 2), (c, 2))
        for here in benches:
            await finished(here)
        for each in counted:
            assert each.most <= 2, "never more pods than the study's parallelism"
            assert not each.twice, "nothing is launched twice"
