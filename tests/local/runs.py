"""Studies with real small trainings, run in this process or in one that may be killed."""

import asyncio
import contextlib
import multiprocessing
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from hyperband.api.study import parse_study
from hyperband.api.trial import TrialResource
from hyperband.backends.local import training
from hyperband.backends.local.records import Clock, Records
from hyperband.backends.local.runner import Plan, Runner
from hyperband.backends.local.store import Store, is_begun, read_run
from hyperband.core.decisions import Finish
from hyperband.core.engine import Engine

CLOCK = Clock(lambda: datetime.now(UTC), time.monotonic)
UID = str(uuid4())  # others may run these tests on this machine, too
# Reports x at each epoch, goes on from its checkpoint, and notes that it was started.
TRAINING = """
echo "$HYPERBAND_TRIAL $HYPERBAND_ATTEMPT" >> "$NOTES/started"
epoch=0
if [ -e "$HYPERBAND_CHECKPOINT_DIR/epoch" ]; then epoch=$(cat "$HYPERBAND_CHECKPOINT_DIR/epoch"); fi
if [ "$epoch" -ge "$HYPERBAND_RESOURCE_TO" ]; then epoch=$((HYPERBAND_RESOURCE_TO - 1)); fi
while [ "$epoch" -lt "$HYPERBAND_RESOURCE_TO" ]; do
  epoch=$((epoch + 1))
  echo "$epoch" > "$HYPERBAND_CHECKPOINT_DIR/new"
  mv "$HYPERBAND_CHECKPOINT_DIR/new" "$HYPERBAND_CHECKPOINT_DIR/epoch"
  echo "{\\"epochs\\": $epoch, \\"loss\\": $HYPERBAND_PARAM_X}" >> "$HYPERBAND_REPORT_FILE"
done
"""


def study(script: str = TRAINING, **spec: Any) -> dict[str, Any]:
    """A study whose trials run this shell script; loss is x."""
    return {
        "apiVersion": "hyperband.dev/v1alpha1",
        "kind": "HyperbandStudy",
        "metadata": {"name": "toy", "namespace": "default", "uid": UID, "generation": 1},
        "spec": {
            "objective": {"metric": "loss", "goal": "Minimize"},
            "resource": {"name": "epochs", "min": 1, "max": 9},
            "hyperband": {"eta": 3, "mode": "Promotion"},
            "searcher": {"type": "Random", "seed": 0},
            "parameters": [{"name": "x", "type": "Float", "min": 0, "max": 1}],
            "maxTrials": 9,
            "parallelism": 2,
            "trialTemplate": {
                "spec": {
                    "terminationGracePeriodSeconds": 1,
                    "containers": [
                        {"name": "t", "image": "t", "command": ["sh", "-euc"], "args": [script]}
                    ],
                }
            },
            **spec,
        },
    }


@contextmanager
def runner(
    folder: Path,
    body: Mapping[str, Any],
    *,
    store: type[Store] = Store,
    devices: tuple[str, ...] = (),
    clock: Clock = CLOCK,
) -> Iterator[tuple[Runner, Records]]:
    """A runner of the run in the folder, which is begun if it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    opened = store.open(folder) if is_begun(folder) else store.create(folder, body, {})
    with closing(opened):
        kept = opened.read().study
        resource = parse_study(kept)
        slots = training.slots(resource, devices, resource.study.parallelism, 99)
        resource = replace(resource, study=replace(resource.study, parallelism=slots.parallelism))
        records = Records(resource, kept, opened, clock)
        inherited = {"PATH": os.environ["PATH"], "NOTES": str(folder)}
        command = training.command(resource, None)
        yield Runner(records, Plan(folder, folder, command, inherited, slots), clock), records


def finish(folder: Path, body: Mapping[str, Any], **options: Any) -> Finish:
    """Runs to the end of the study."""
    with runner(folder, body, **options) as (made, _):
        found = asyncio.run(asyncio.wait_for(made.run(), 50))
    assert found is not None
    return found


def trials(folder: Path) -> list[TrialResource]:
    """The records of a run, by index."""
    with closing(Store.open(folder)) as store:
        found = store.trials(Engine(parse_study(store.read().study).study))
    return list(found.values())


def status(folder: Path) -> dict[str, Any]:
    """Of the study."""
    found: dict[str, Any] = read_run(folder)[0]["status"]
    return found


def started(folder: Path) -> Counter[str]:
    """How often each attempt's training was started: trial and number."""
    return Counter((folder / "started").read_text(encoding="utf-8").splitlines())


def assert_sound(folder: Path) -> None:
    """Nothing lost, nothing twice, nothing left behind."""
    found = trials(folder)
    assert [each.trial.index for each in found] == list(range(len(found)))
    values = [value for each in found for value in each.trial.rungs]
    assert sorted(value.sequence for value in values) == list(range(len(values)))
    assert set(started(folder).values()) == {1}
    assert not any(each.trial.state.active for each in found)
    assert all(attempt.ended for each in found for attempt in each.attempts)
    assert processes() == []


def processes(mark: str = UID) -> list[int]:
    """Those that belong to a run, by what is in their environment."""
    wanted, found = f"{training.RUN_VARIABLE}={mark}".encode(), []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdecimal() and wanted in (entry / "environ").read_bytes():
                found.append(int(entry.name))
    return found


def wait_for(condition: Callable[[], Any], seconds: float = 60.0) -> None:
    """Until something is so; fails if it never is."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.01)


def in_a_process(work: Callable[[], Any]) -> int | None:
    """Does the work in a process of its own; its exit code, minus the signal's that ended it."""
    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join(50)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise AssertionError("it does not end")
    return process.exitcode


def kill_myself() -> None:
    """As an out-of-memory killer, or `kill -9`, would."""
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)
