"""`hyperband dashboard`: what it refuses before it listens, and what it shows of a cluster."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from typer.testing import CliRunner

from hyperband.backends.kubernetes.api_errors import Forbidden
from hyperband.backends.kubernetes.client import Client
from hyperband.backends.kubernetes.objects import STUDIES, Kind
from hyperband.backends.kubernetes.telemetry.server import Address
from hyperband.cli import dashboard
from hyperband.cli.dashboard import _check, _Options, _scopes, _started
from hyperband.cli.main import app
from hyperband.dashboard.access import OwnMachine
from hyperband.dashboard.pages import MISSING, built


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--dir", "x", "-n", "team-a"], "--dir x: a run is in no cluster: leave the others out"),
        (["--dir", "x", "--in-cluster"], "--dir x: a run is in no cluster: leave the others out"),
        (["--listen", ":8420"], "--listen :8420: others could ask there: listen at 127.0.0.1"),
        (["--listen", "0.0.0.0:80"], "--listen 0.0.0.0:80: others could ask there"),
        (["--listen", "[::]:80"], "--listen [::]:80: others could ask there"),
        (["--listen", "localhost.example:80"], "others could ask there"),
        (["--tls-cert", "x"], "--tls-cert and --tls-key: give both, or none"),
        (["--tls-key", "x"], "--tls-cert and --tls-key: give both, or none"),
        (["--listen", "8420"], "'8420' is no [HOST]:PORT, such as :8080"),
        (["--dir", "no-such-folder"], "no-such-folder has no run"),
    ],
)
def test_what_does_not_go_together_is_refused(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    # Of this process it would be the log from then on.
    monkeypatch.setattr(dashboard, "configure", lambda *_, **__: None)
    ended = CliRunner().invoke(app, ["dashboard", *arguments], env={"COLUMNS": "200"})
    assert ended.exit_code == 2 and said in ended.stderr


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_a_laptop_listens_to_itself(host: str) -> None:
    _check(_Options([], Address(host, 8420), in_cluster=False, files=None), None)


def test_a_pod_listens_to_all() -> None:
    _check(_Options(["team-a"], Address(None, 8080), in_cluster=True, files=None), None)


@pytest.mark.parametrize(
    ("listen", "shown"),
    [
        (None, "http://127.0.0.1:8421/#token=the-token\n"),
        ("127.0.0.1:0", "http://127.0.0.1:8421/#token=the-token\n"),
        ("localhost:0", "http://localhost:8421/#token=the-token\n"),
        ("[::1]:0", "http://[::1]:8421/#token=the-token\n"),
    ],
)
def test_the_address_told_is_the_one_listened_at(
    listen: str | None, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    address = None if listen is None else Address.parse(listen)
    _started(_Options([], address, False, None), OwnMachine("the-token"), 8421)
    assert capsys.readouterr().out == shown


# -- which namespaces ----------------------------------------------------------------------------


class Lists:
    """A client that may list studies in some namespaces, and None for all."""

    def __init__(self, *may: str | None) -> None:
        self.may, self.asked = may, list[str | None]()

    async def pages(
        self, kind: Kind, type_: Any, namespace: str | None, *, limit: int
    ) -> AsyncIterator[Any]:
        assert kind is STUDIES
        self.asked.append(namespace)
        if namespace not in self.may:
            raise Forbidden(403, "Forbidden", f"no studies of {namespace}")
        yield None


@pytest.mark.parametrize(
    ("may", "wanted", "shown", "asked"),
    [
        ((None,), [], [], [None]),
        (("mine",), [], ["mine"], [None, "mine"]),
        (("a", "b"), ["a", "b"], ["a", "b"], ["a", "b"]),
    ],
)
async def test_all_that_may_be_listed_is_shown_or_what_is_asked_for(
    may: tuple[str | None, ...], wanted: list[str], shown: list[str], asked: list[str | None]
) -> None:
    client = Lists(*may)
    assert await _scopes(cast(Client, client), wanted, "mine") == shown
    assert client.asked == asked


@pytest.mark.parametrize(("wanted", "said"), [([], "of mine"), (["a", "b"], "of b")])
async def test_what_may_not_be_listed_is_told_at_the_start(wanted: list[str], said: str) -> None:
    with pytest.raises(Forbidden) as caught:
        await _scopes(cast(Client, Lists("a")), wanted, "mine")
    assert said in caught.value.message


async def test_it_is_told_that_others_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    await _scopes(cast(Client, Lists("mine")), [], "mine")
    assert capsys.readouterr().err == (
        "You may not list studies of all namespaces: these are mine's.\n"
    )


@pytest.mark.parametrize("there", [False, True])
def test_whoever_starts_it_without_a_page_is_told(
    there: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hyperband.cli.dashboard.built", lambda: there)
    _started(_Options([], None, False, None), OwnMachine("the-token"), 8421)
    assert (MISSING in capsys.readouterr().err) is not there


def test_a_page_is_there_once_its_index_is(tmp_path: Path) -> None:
    assert not built(tmp_path / "static") and not built(tmp_path)
    (tmp_path / "index.html").touch()
    assert built(tmp_path)
