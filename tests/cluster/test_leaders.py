"""Two operator processes for the same studies: one leads, whatever becomes of the other.

They have the Lease's usual terms: 15 s until another one takes over.
"""

import asyncio
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hyperband.backends.kubernetes.election import Election
from hyperband.backends.kubernetes.lease import Observed, Place, Terms
from tests.cluster.harness import (
    LEASE_SECONDS,
    Bench,
    Census,
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

TRIALS = 12
TERMS = Terms()
SLACK = 10.0  # seconds that a busy machine of two cores may add


@contextmanager
def two_operators(
    namespace: str, folder: Path, lease_seconds: int = TERMS.duration
) -> Iterator[tuple[Operator, Operator]]:
    """A, and B that is to be started; both are ended with the test."""
    pair = tuple(Operator(namespace, folder / f"{n}.log", lease_seconds) for n in "ab")
    try:
        pair[0].start()
        yield pair[0], pair[1]
    finally:
        for operator in pair:
            if operator.alive:
                operator.resume()
                operator.kill(signal.SIGTERM)
            assert "Traceback" not in operator.text()


async def decisions(operator: Operator, count: int) -> None:
    """Waits until the operator has made so many decisions."""

    async def made() -> bool:
        return operator.text().count(" (") >= count  # a line for each

    await eventually(made, f"{operator.log.name} has made {count} decisions")


async def says(operator: Operator, text: str) -> None:
    async def said() -> bool:
        return text in operator.text()

    await eventually(said, f"{operator.log.name} says {text!r}")


def reigns(operator: Operator) -> tuple[int, int]:
    """How often it has led, and how often it has lost its Lease.

    One of few seconds may be lost at any time, where the machine stands still for two thirds of it.
    """
    text = operator.text()
    return text.count("leading, with the Lease"), text.count("leading no more: the Lease")


def decided(trial: dict[str, Any]) -> str:
    """The decision that the trial's record holds, as an operator's log ends a line with it."""
    status = trial.get("status") or {}  # none of one that was created just now
    return f" ({status.get('reason', 'NewConfiguration')}): {status.get('message', '')}"


async def follow(namespace: str, a: Operator, b: Operator) -> None:
    """B is started while A works, and waits."""
    await decisions(a, 3)
    b.start()
    await says(b, f"waiting for the Lease {namespace}/hyperband-namespace-operator, held by ")


async def check(here: Bench, name: str, counted: Census) -> None:
    """The study ends as if one operator had been there all the time."""
    body = await here.finished(name)
    trials, pods = await here.trials(name), await here.pods(name)
    assert condition(body, "Succeeded") == "True"
    check_records(trials, TRIALS)
    check_promotions(trials, eta=3)
    assert all(t["status"]["failures"] == 0 for t in trials), "nothing of it is a failure"
    assert all(t["status"]["disruptions"] == 0 for t in trials), "nor did it cost an attempt"
    assert counted.most <= 4
    assert not counted.twice
    assert all(p.status.phase in ("Succeeded", "Failed") for p in pods)


def long_study(name: str) -> dict[str, Any]:
    return study(name, trainer(pause=1.0), maxTrials=TRIALS)


async def test_the_other_one_takes_over_from_one_that_is_killed(
    kubeconfig: str, namespace: str, tmp_path: Path
) -> None:
    with two_operators(namespace, tmp_path) as (a, b):
        async with bench(kubeconfig, namespace) as here, census(here) as counted:
            await here.apply(long_study("killed"))
            await follow(namespace, a, b)
            assert "taken up" not in b.text(), "it does nothing but wait"
            a.kill()
            killed = time.monotonic()
            await says(b, "leading, with the Lease")
            assert time.monotonic() - killed < TERMS.duration + TERMS.retry + SLACK
            await decisions(b, 1)
            await check(here, "killed", counted)


async def test_one_that_was_paused_wakes_up_believing_it_leads(
    kubeconfig: str, namespace: str, tmp_path: Path
) -> None:
    with two_operators(namespace, tmp_path) as (a, b):
        async with bench(kubeconfig, namespace) as here, census(here) as counted:
            await here.apply(long_study("paused"))
            await follow(namespace, a, b)
            a.pause()
            sent: set[str] = set()  # what it had on its way then, it tells of when it wakes up

            async def followed() -> bool:
                sent.update(map(decided, await here.trials("paused")))
                return "leading, with the Lease" in b.text()

            await eventually(followed, "the other one leads")
            await decisions(b, 5)
            assert condition(await here.study("paused"), "Finished") != "True"
            before = a.text()
            a.resume()
            await says(a, f"waiting for the Lease {namespace}/hyperband-namespace-operator, held")
            awake = a.text().removeprefix(before)
            await check(here, "paused", counted)
    assert "leading no more: the Lease" in awake
    late = [line for line in awake.splitlines() if " (" in line]
    assert all(any(each in line for each in sent) for line in late), "it has decided nothing"


async def test_one_that_was_paused_alone_leads_again_and_reads_everything_anew(
    kubeconfig: str, namespace: str, tmp_path: Path
) -> None:
    with two_operators(namespace, tmp_path, LEASE_SECONDS) as (a, _):
        async with bench(kubeconfig, namespace) as here, census(here) as counted:
            await here.apply(long_study("alone"))
            await decisions(a, 3)
            a.pause()
            place = Place(namespace, "hyperband-namespace-operator")
            lease = Observed(here.client, place, time.monotonic)

            async def expired() -> bool:
                await lease.look()
                return not lease.held()

            await eventually(expired, "anybody could take the Lease")
            a.resume()
            await says(a, "leading no more")
            await check(here, "alone", counted)
    led, lost = reigns(a)
    assert led == 1 + lost >= 2
    assert a.text().count("alone: taken up") >= 2


async def test_one_that_ends_cleanly_is_followed_at_once(
    kubeconfig: str, namespace: str, tmp_path: Path
) -> None:
    with two_operators(namespace, tmp_path) as (a, b):
        async with bench(kubeconfig, namespace) as here, census(here) as counted:
            await here.apply(long_study("rolled"))
            await follow(namespace, a, b)
            a.kill(signal.SIGTERM)
            ended = time.monotonic()
            await says(b, "leading, with the Lease")
            assert time.monotonic() - ended < TERMS.retry + SLACK
            assert "is given back" in a.text()
            await check(here, "rolled", counted)


async def test_one_for_a_namespace_leaves_its_work_to_one_for_all(
    kubeconfig: str, namespace: str, tmp_path: Path
) -> None:
    everywhere = Place("hyperband-system", "hyperband-operator")
    with two_operators(namespace, tmp_path, LEASE_SECONDS) as (a, _):
        async with bench(kubeconfig, namespace) as here, census(here) as counted:
            await here.apply(long_study("left"))
            await decisions(a, 3)
            # A process that leads for all namespaces, as far as anybody can see.
            great = Election(here.client, everywhere, Terms(LEASE_SECONDS))
            await great.acquire()
            holding = asyncio.create_task(great.hold())
            await says(a, f"held by {great.identity}")
            assert condition(await here.study("left"), "Finished") != "True"
            holding.cancel()
            # A renewal that is still on its way would take the Lease again.
            await asyncio.wait([holding])
            await great.release()
            await check(here, "left", counted)
    led, lost = reigns(a)
    assert led == 2 + lost, "what it leaves to another one it does not call lost"
