"""The campaigns themselves: what is made of bytes, what is counted, what is kept."""

import json
from pathlib import Path

import pytest

from hyperband.api.schema.study_spec import SPEC
from tests.fuzz import __main__ as command
from tests.fuzz import targets
from tests.fuzz.checks import is_field
from tests.fuzz.findings import Campaign
from tests.fuzz.source import Source
from tests.fuzz.with_hypothesis import main as with_hypothesis


def _fails_on_long_input(data: bytes) -> None:
    if len(data) > 3:
        raise ZeroDivisionError(f"{len(data)} bytes")


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HYPERBAND_CACHE", str(tmp_path))


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A target that fails."""
    monkeypatch.setattr(targets, "TARGETS", {"metrics": _fails_on_long_input})


def test_the_same_bytes_make_the_same_document() -> None:
    data = bytes(range(200))
    made = [Source(data).of_schema(SPEC) for _ in range(2)]
    assert repr(made[0]) == repr(made[1])
    assert Source(data).of_schema(SPEC) != Source(data[1:]).of_schema(SPEC)


def test_bytes_that_are_used_up_make_the_first_choices() -> None:
    source = Source(b"")
    assert [source.below(7), source.pick("ab"), source.often(), source.rarely()] == [
        0,
        "a",
        True,
        False,
    ]
    assert source.list(5, source.number) == []


def test_the_shortest_input_of_a_finding_is_kept(tmp_path: Path, broken: None) -> None:
    campaign = Campaign("metrics", tmp_path, runs=5, done=0)
    for data in (b"123456", b"1234", b"12345", b"1"):
        campaign.run(data)
    (found,) = tmp_path.glob("finding-*.bin")
    assert found.read_bytes() == b"1234"
    assert found.with_suffix(".txt").read_text().endswith("ZeroDivisionError: 4 bytes\n")
    assert (campaign.done, campaign.left) == (4, 1)


def test_a_finding_can_be_replayed(
    tmp_path: Path, broken: None, capsys: pytest.CaptureFixture[str]
) -> None:
    bad, good = tmp_path / "bad", tmp_path / "good"
    bad.write_bytes(b"1234")
    good.write_bytes(b"1")
    with pytest.raises(ZeroDivisionError):
        command.main(["--target", "metrics", "--input", str(bad)])
    assert command.main(["--target", "metrics", "--input", str(good)]) == 0
    assert capsys.readouterr().out == "1 executions, 0 findings\n"


def test_counts_go_on_where_a_campaign_has_stopped(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this process, and with targets that hold."""
    monkeypatch.setattr(command.subprocess, "run", _here)
    only = ["--target", "metrics", "--engine", "hypothesis"]
    assert command.main(["--runs", "60", *only]) == 0
    folder = command.campaign("hypothesis", "metrics")
    assert json.loads((folder / "count.json").read_text()) == 60
    assert command.main(["--runs", "100", *only]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "hypothesis metrics: 60 executions, 0 findings",
        "60 executions, 0 findings",
        "hypothesis metrics: 100 executions, 0 findings",
        "100 executions, 0 findings",
    ]


def test_findings_are_told_last(
    broken: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command.subprocess, "run", _here)
    assert command.main(["--runs", "50", "--target", "metrics", "--engine", "hypothesis"]) == 1
    first, what, replay, last = capsys.readouterr().out.splitlines()
    assert first == "hypothesis metrics: 50 executions, 1 findings"
    assert what.strip().startswith("ZeroDivisionError: ")
    assert replay.strip().startswith("make fuzz TARGET=metrics INPUT=/")
    assert last == "50 executions, 1 findings"


def _here(arguments: list[str], **options: object) -> None:
    with_hypothesis(arguments[-2], int(arguments[-1]))


@pytest.mark.parametrize(
    ("path", "there"),
    [
        ("spec.parameters[3].min", True),
        ("spec.resource.max", True),
        ("spec.parameters[0].when.layers", True),
        ("spec.trialTemplate.spec.containers[0].env[2].name", True),
        ("metadata.name", True),
        ("spec.nothing", True),  # there is no such field: the object that might have it is there
        ("status.nothing", False),
        ("spec.maxTrials.x.y", False),
    ],
)
def test_fields_are_known(path: str, there: bool) -> None:
    assert is_field(path) is there
