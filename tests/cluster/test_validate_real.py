"""`hyperband validate` and the real API server take and refuse the same files."""

import subprocess
from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from hyperband.cli.main import app
from hyperband.cli.validate import judge
from tests.cli.init_options import OPTIONS
from tests.studies import REMOVED, changed, good_study

pytestmark = pytest.mark.cluster

TAKEN: Mapping[str, Mapping[str, Any]] = {
    "as it is": {},
    "null for a default": {"spec.hyperband": None},
    "null for nothing": {"spec.budget": None, "spec.parameters.4.when": None},
    "a whole number with a point": {"spec.maxTrials": 20.0},
    "a fraction where there may be one": {"spec.hyperband.eta": 3.5},
    "a name with dots": {"metadata.name": "a.b"},
    "a uid": {"metadata.uid": "x"},
    "labels and annotations": {
        "metadata.labels": {"app.kubernetes.io/name": "a_b.C-1", "empty": ""},
        "metadata.annotations": {"example.com/note": "any text: at all"},
    },
    "what only a dry run of the pod finds": {"spec.trialTemplate.spec.containers.0.foo": 1},
}
REFUSED: Mapping[str, Mapping[str, Any]] = {
    "null for what must be there": {"spec.maxTrials": None},
    "a label that is a number": {"metadata.labels": {"a": 1}},
    "a label with a space": {"metadata.labels": {"a": "b c"}},
    "the key of a label with a space": {"metadata.labels": {"a b": "c"}},
    "the key of an annotation with a space": {"metadata.annotations": {"a b": "c"}},
    "an unknown field at the top": {"foo": "x"},
    "an unknown field of the metadata": {"metadata.foo": "x"},
    "half a trial": {"spec.maxTrials": 20.5},
    "a number beyond 64 bits": {"spec.searcher.seed": 2**63},
    "a name in upper case": {"metadata.name": "Agree"},
    "a name that is none": {"metadata.name": True},
    "no name": {"metadata.name": REMOVED},
    "a namespace that can be none": {"metadata.namespace": "Bad Name"},
    "a list for the spec": {"spec": []},
    "nothing for the spec": {"spec": None},
    "a container without a name": {"spec.trialTemplate.spec.containers.0.name": REMOVED},
    "a null among values": {"spec.parameters.3.values": [32, None]},
    "a number as a key": {"spec.1": 2},
    "an unknown kind": {"kind": "HyperbandStudys"},
    "no kind": {"kind": REMOVED},
    "an unknown version": {"apiVersion": "hyperband.dev/v1"},
    "no version": {"apiVersion": REMOVED},
}


def apply_dry(content: str, *options: str) -> subprocess.CompletedProcess[str]:
    """What kubectl says of a file."""
    return subprocess.run(
        ["kubectl", "apply", "--dry-run=server", "-f", "-", *options],
        input=content,
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )


def verdicts(changes: Mapping[str, Any]) -> tuple[bool, bool, str]:
    """Whether the server takes a study, whether we do, and what both say."""
    content = yaml.safe_dump(changed(good_study("agree"), changes))
    asked = apply_dry(content)
    found = [problem for each in judge(content.encode(), "f") for problem in each.problems]
    return asked.returncode == 0, not found, f"{asked.stdout}{asked.stderr}{found}"


@pytest.mark.parametrize("title", TAKEN)
def test_both_take(title: str) -> None:
    server, ours, said = verdicts(TAKEN[title])
    assert (server, ours) == (True, True), said


@pytest.mark.parametrize("title", REFUSED)
def test_both_refuse(title: str) -> None:
    server, ours, said = verdicts(REFUSED[title])
    assert (server, ours) == (False, False), said


@pytest.mark.parametrize("more", [(), ("--claim", "scratch", "--gpus", "0")])
def test_the_server_takes_what_init_writes(more: tuple[str, ...], bare_namespace: str) -> None:
    written = CliRunner().invoke(app, ["init", "digits", *OPTIONS, *more])
    assert written.exit_code == 0, written.stderr
    # Elsewhere somebody may have a study of that name, whose search cannot change.
    asked = apply_dry(written.stdout, "-n", bare_namespace)
    assert asked.returncode == 0, asked.stderr
