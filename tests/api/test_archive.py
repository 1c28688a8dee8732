"""Archives: nothing of a trial is lost, damage is noticed, and none is too large."""

import base64
import gzip
import json
import random
import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperband.api.archive import UnreadableArchiveError, archive_manifest, pack, unpack
from hyperband.api.schema.archive import ARCHIVE_SPEC, MAX_DATA
from hyperband.api.schema.check import complete
from hyperband.api.schema.trial import MAX_CURVE
from hyperband.api.trial import TrialResource, trial_manifest, trial_status
from tests.api.test_trial import STUDY, resources, through_server

PLACE = ("default", "digits", "study-uid")


def body_of(resource: TrialResource, index: int) -> dict[str, Any]:
    """A trial as a server gives it."""
    body = trial_manifest(STUDY, resource.trial)
    body["spec"]["index"] = index
    body["metadata"] |= {
        "name": f"digits-{index}",
        "uid": f"uid-{index}",
        "resourceVersion": str(index + 7),
        "creationTimestamp": "2026-11-25T12:00:00Z",
        "generation": 1,
        "managedFields": [{"manager": "hyperband-operator"}],
        "annotations": {"note": "a user's own"},
    }
    body = through_server(body)
    if index % 5:  # else nothing has happened to it
        body["status"] = through_server(trial_status(resource))
    return body


bodies = st.lists(resources, min_size=1, max_size=6).map(
    lambda many: [body_of(resource, 3 * k) for k, resource in enumerate(many)]
)


@given(bodies)
def test_trials_come_back_from_their_archive(trials: list[dict[str, Any]]) -> None:
    manifest = archive_manifest(*PLACE, 4, trials)
    complete(ARCHIVE_SPEC, manifest["spec"], "spec")  # the definition lets it through
    assert manifest["metadata"]["name"] == "digits-archive-4"
    assert manifest["spec"] == archive_manifest(*PLACE, 4, trials)["spec"], "the same each time"
    back = unpack(through_server(manifest)["spec"])
    for trial, archived in zip(trials, back, strict=True):
        assert archived["spec"] == trial["spec"]
        assert archived["status"] == trial.get("status", {})
        lost = set(trial["metadata"]) - set(archived["metadata"])
        assert lost == {"namespace", "generation", "managedFields", "ownerReferences"}
        assert archived["metadata"].items() <= trial["metadata"].items()


def example(count: int = 3) -> dict[str, Any]:
    metadata = {"name": "digits-0", "uid": "u"}
    trials = [
        {"metadata": metadata, "spec": {"index": k}, "status": {"state": "Stopped"}}
        for k in range(count)
    ]
    spec: dict[str, Any] = archive_manifest(*PLACE, 0, trials)["spec"]
    return spec


@given(st.data())
def test_damage_is_noticed_and_never_another_error(data: st.DataObject) -> None:
    spec = example()
    whole = unpack(spec)
    raw = bytearray(base64.b64decode(spec["data"]))
    match data.draw(st.sampled_from(["cut", "flip", "text"])):
        case "cut":
            raw = raw[: data.draw(st.integers(0, len(raw) - 1))]
            spec["data"] = base64.b64encode(raw).decode()
        case "flip":
            raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
            spec["data"] = base64.b64encode(raw).decode()
        case "text":
            spec["data"] = data.draw(st.text(max_size=50))
    try:
        assert unpack(spec) == whole, "a byte of the header may mean nothing"
    except UnreadableArchiveError as error:
        assert str(error)


def packed(document: Any) -> str:
    return base64.b64encode(gzip.compress(json.dumps(document).encode())).decode()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": "json+zstd"}, "its format is json[+]zstd, not json[+]gzip"),
        ({"format": None}, "its format is None"),
        ({"trials": 4}, "not of the 4 trials that it names"),
        ({"last": 7}, "not of the 3 trials"),
        ({"data": packed([])}, "not of the 3 trials"),
        ({"data": packed({"a": 1})}, "damaged"),
        ({"data": packed([{"spec": {"index": 0}}])}, "damaged"),
        ({"data": packed([{"spec": {"index": 0}, "status": [], "metadata": {}}])}, "no trial"),
        ({"data": packed([None])}, "damaged"),
        ({"data": base64.b64encode(gzip.compress(b"[" * 99999)).decode()}, "damaged"),
        ({"data": base64.b64encode(gzip.compress(bytes(100_000_001))).decode()}, "more than"),
    ],
)
def test_what_is_no_archive_is_told_why(change: dict[str, Any], said: str) -> None:
    with pytest.raises(UnreadableArchiveError, match=said):
        unpack(example() | change)
    with pytest.raises(UnreadableArchiveError):
        unpack({})


def test_an_archive_holds_no_more_than_etcd_takes() -> None:
    dice = random.Random(0)
    trials = []
    for index in range(200):
        curve = [{"resource": k, "value": dice.random()} for k in range(MAX_CURVE)]
        spec = {"index": index, "parameters": {f"p{k}": dice.random() for k in range(200)}}
        metadata = {"name": f"digits-{index}", "uid": "u"}
        trials.append({"metadata": metadata, "spec": spec, "status": {"curve": curve}})
    manifest = archive_manifest(*PLACE, 0, trials)
    assert MAX_DATA / 2 < len(manifest["spec"]["data"]) <= MAX_DATA
    count = manifest["spec"]["trials"]
    assert 50 < count < 200
    assert [t["spec"] for t in unpack(manifest["spec"])] == [t["spec"] for t in trials[:count]]
    assert manifest["spec"]["last"] == count - 1


def test_one_trial_is_always_packed() -> None:
    noise = random.Random(0).randbytes(MAX_DATA).hex()
    trial = {"metadata": {"name": "a", "uid": "u"}, "spec": {"index": 0, "noise": noise}}
    assert pack([trial, trial]).trials == 1


def test_an_archive_can_be_unpacked_by_hand() -> None:
    """As docs/concepts/archives.md says."""
    done = subprocess.run(
        ["sh", "-c", "base64 -d | gunzip"],
        input=example()["data"].encode(),
        stdout=subprocess.PIPE,
        check=True,
    )
    assert [trial["spec"]["index"] for trial in json.loads(done.stdout)] == [0, 1, 2]
