"""A bare API server with its etcd: the real programs, without nodes, controllers or TLS of ours."""

import contextlib
import json
import random
import re
import secrets
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import yaml

from hack.cluster import gobuild
from hack.cluster.kindcluster import kubectl_program

READY_SECONDS = 120.0
USERS = ("bench", "operator")  # contexts of the kubeconfig, so that an audit log tells them apart
ROOT = Path(__file__).resolve().parents[1]
# Below those that Linux gives to connections, and to who listens without naming one.
PORTS: Final = range(20_000, 30_000)


@dataclass(frozen=True)
class Server:
    """One that runs.

    Attributes:
        etcd: its URL.
        processes: the ids of both, by name.
    """

    kubeconfig: Path
    etcd: str
    processes: Mapping[str, int]

    def etcd_bytes(self) -> int:
        """The size of etcd's file with nothing in it but the newest version of each object."""
        revision = self._ask("/v3/kv/range", {"key": "AA=="})["header"]["revision"]
        with contextlib.suppress(urllib.error.HTTPError):  # nothing has changed since the last time
            self._ask("/v3/kv/compaction", {"revision": revision, "physical": True})
        self._ask("/v3/maintenance/defragment", {})
        return int(self._ask("/v3/maintenance/status", {})["dbSize"])

    def _ask(self, path: str, body: dict[str, Any]) -> Any:
        request = urllib.request.Request(self.etcd + path, json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)


@contextlib.contextmanager
def running(arguments: Sequence[str] = ()) -> Iterator[Server]:
    """Starts both with the definitions installed, and leaves nothing behind.

    Args:
        arguments: more of them for the API server.

    Raises:
        ClusterError: they are not built yet, and cannot be.
        TimeoutError: they do not come up.
    """
    programs = {p.name: p for p in gobuild.NODE_PROGRAMS if p.name in ("etcd", "kube-apiserver")}
    gobuild.build(programs.values())
    folder = Path(tempfile.mkdtemp(prefix="bench-server-"))
    processes: list[subprocess.Popen[bytes]] = []
    try:
        etcd, peer, port = free_ports(3)
        commands = {
            "etcd": _etcd(programs["etcd"].binary, folder, etcd, peer),
            "kube-apiserver": [
                *_api_server(programs["kube-apiserver"].binary, folder, etcd, port),
                *arguments,
            ],
        }
        with (folder / "log").open("wb") as log:
            for words in commands.values():
                processes.append(subprocess.Popen(words, stdout=log, stderr=log))
        ids = dict(zip(commands, (each.pid for each in processes), strict=True))
        server = Server(folder / "kubeconfig", f"http://127.0.0.1:{etcd}", ids)
        _wait(folder, port, processes)
        install(server.kubeconfig, ROOT / "crds")
        yield server
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait(timeout=60)
        shutil.rmtree(folder)


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that nobody listens at, and that nobody is given by chance.

    Until they are used, and between two programs that use one after the other.
    """
    free = filter(_is_free, random.sample(PORTS, len(PORTS)))
    return list(islice(free, count))


def _is_free(port: int) -> bool:
    with socket.socket() as tried:
        try:
            tried.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _etcd(program: Path, folder: Path, port: int, peer: int) -> list[str]:
    url = f"http://127.0.0.1:{port}"
    return [
        str(program),
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={url}",
        f"--advertise-client-urls={url}",
        f"--listen-peer-urls=http://127.0.0.1:{peer}",
        "--quota-backend-bytes=8589934592",
        "--unsafe-no-fsync",  # sizes are the same, and the disk is left alone
        "--log-level=error",
    ]


def _api_server(program: Path, folder: Path, etcd: int, port: int) -> list[str]:
    tokens, key = {user: secrets.token_hex(16) for user in USERS}, folder / "key"
    lines = [f"{token},{user},{user},system:masters\n" for user, token in tokens.items()]
    (folder / "tokens").write_text("".join(lines))
    subprocess.run(
        ["openssl", "genrsa", "-out", str(key), "2048"], check=True, stderr=subprocess.DEVNULL
    )
    cluster = {"server": f"https://127.0.0.1:{port}", "insecure-skip-tls-verify": True}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "bench", "cluster": cluster}],
        "users": [{"name": user, "user": {"token": token}} for user, token in tokens.items()],
        "contexts": [{"name": u, "context": {"cluster": "bench", "user": u}} for u in USERS],
        "current-context": USERS[0],
    }
    (folder / "kubeconfig").write_text(yaml.safe_dump(config))
    return [
        str(program),
        f"--etcd-servers=http://127.0.0.1:{etcd}",
        f"--cert-dir={folder / 'certificates'}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        "--authorization-mode=AlwaysAllow",
        f"--token-auth-file={folder / 'tokens'}",
        "--service-account-issuer=https://bench",
        f"--service-account-signing-key-file={key}",
        f"--service-account-key-file={key}",
        "--service-cluster-ip-range=10.0.0.0/24",
    ]


def _wait(folder: Path, port: int, processes: list[subprocess.Popen[bytes]]) -> None:
    insecure = ssl.create_default_context()
    insecure.check_hostname, insecure.verify_mode = False, ssl.CERT_NONE
    token = (folder / "tokens").read_text().partition(",")[0]
    url = f"https://127.0.0.1:{port}/readyz"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    deadline = time.monotonic() + READY_SECONDS
    while True:
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(request, timeout=5, context=insecure),
        ):
            return
        ended = any(process.poll() is not None for process in processes)
        if ended or time.monotonic() > deadline:
            log = (folder / "log").read_text(errors="replace")
            tail = re.sub(r"\s+", " ", log[-1000:])
            raise TimeoutError(f"the API server does not come up: {tail}")
        time.sleep(0.2)


def install(kubeconfig: Path, *definitions: Path) -> None:
    """Applies the definitions of custom resources in these files or folders, and waits for them."""
    files = [word for each in definitions for word in ("-f", str(each))]
    for words in (
        ("apply", "--server-side", *files),
        ("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"),
    ):
        subprocess.run(
            [kubectl_program(), "--kubeconfig", str(kubeconfig), *words],
            check=True,
            stdout=subprocess.DEVNULL,
        )
