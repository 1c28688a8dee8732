"""Settings from kubeconfig files and from a pod's service account, and how credentials renew."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from hyperband.backends.kubernetes import connection
from hyperband.backends.kubernetes.connection import Credentials, NoConnectionError, connect


def kubeconfig(folder: Path, user: dict[str, Any], **cluster: Any) -> Path:
    context = {"cluster": "c", "user": "u", "namespace": "team"}
    text = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "one",
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1/base/", **cluster}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [
            {"name": "one", "context": context},
            {"name": "two", "context": {"cluster": "c", "user": "u"}},
        ],
    }
    path = folder / "config"
    path.write_text(json.dumps(text))
    return path


async def test_token_and_namespace(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, {"token": "abc"})
    found = connect(path)
    assert (found.url, found.namespace, found.tls) == ("http://127.0.0.1:1/base", "team", None)
    assert await found.headers() == {"Authorization": "Bearer abc"}
    assert connect(path, "two").namespace == "default"


async def test_the_environment_names_the_file(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, {})))
    found = connect()
    assert found.namespace == "team" and await found.headers() == {}


@pytest.mark.parametrize("text", ["", "{", "a: [", "current-context: x\nclusters: 3"])
def test_what_is_missing_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken"
    path.write_text(text)
    for wrong in (path, tmp_path / "absent"):
        with pytest.raises(NoConnectionError, match=wrong.name):
            connect(wrong)


def test_where_no_kubeconfig_is_the_mend_is_told(tmp_path: Path) -> None:
    with pytest.raises(NoConnectionError, match=r"no kubeconfig .*absent: name one by --kubeconf"):
        connect(tmp_path / "absent")


async def test_files_that_are_not_there_are_passed_over(tmp_path: Path, monkeypatch: Any) -> None:
    there = kubeconfig(tmp_path, {})
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'absent'}:{there}")
    assert connect().namespace == "team"


def test_an_unknown_context(tmp_path: Path) -> None:
    with pytest.raises(NoConnectionError, match="three"):
        connect(kubeconfig(tmp_path, {}), "three")


async def test_a_refused_token_file_is_read_again(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("old\n")
    headers = connect(kubeconfig(tmp_path, {"tokenFile": str(token)})).headers
    token.write_text("new\n")
    old = await headers()
    assert old == {"Authorization": "Bearer old"} and await headers() is old
    both = await asyncio.gather(headers(refused=old), headers(refused=old))
    assert both[0] == {"Authorization": "Bearer new"} and both[0] is both[1]  # renewed once


async def test_an_expired_plugin_is_run_again(tmp_path: Path) -> None:
    count = tmp_path / "count"
    plugin = tmp_path / "plugin"
    status = '{"token": "\'$(wc -l < ' + str(count) + ')\'", "expirationTimestamp": "%s"}'
    answer = (
        '{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": '
    )
    expired = status % "2020-01-01T00:00:00Z"
    plugin.write_text(f"#!/bin/sh\necho x >> {count}\necho '{answer}{expired}}}'\n")
    plugin.chmod(0o700)
    exec_ = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin)}
    found = connect(kubeconfig(tmp_path, {"exec": {**exec_, "interactiveMode": "Never"}}))
    assert await found.headers() == {"Authorization": "Bearer 2"}


async def test_in_cluster(tmp_path: Path, monkeypatch: Any) -> None:
    for name, text in (("token", "abc"), ("namespace", "own\n"), ("ca.crt", "")):
        (tmp_path / name).write_text(text)
    token = str(tmp_path / "token")
    monkeypatch.setattr(connection, "SERVICE_TOKEN_FILENAME", token)

    def load(settings: Any) -> None:
        settings.host, settings.api_key["BearerToken"] = "http://10.0.0.1:443", "bearer abc"

    monkeypatch.setattr("kubernetes.config.load_incluster_config", load)
    found = connect()
    assert found.url == "http://10.0.0.1:443" and found.namespace == "own"
    assert await found.headers() == {"Authorization": "bearer abc"}
    assert connect(kubeconfig(tmp_path, {})).namespace == "team"  # asked for, so preferred


async def test_credentials_are_looked_at_now_and_then_and_outlive_failures() -> None:
    class Settings:
        token: str | None = "1"
        cert_file = None

        def get_api_key_with_prefix(self, name: str, alias: str) -> str:
            if self.token is None:
                raise OSError("no token")
            return self.token

    now = 0.0
    settings = Settings()
    headers = Credentials(lambda: settings, settings, clock=lambda: now)
    assert await headers() == {"Authorization": "1"}
    settings.token = "2"
    assert await headers() == {"Authorization": "1"}
    now = 31.0
    assert await headers() == {"Authorization": "2"}
    settings.token, now = None, 62.0
    assert await headers() == {"Authorization": "2"}
