"""What a dockerd changes on the host: remembered before, restored after.

dockerd leaves its bridge, its chains in iptables, IP forwarding, a dropping FORWARD policy and a
few folders behind when it ends. Only what was not there before it is taken away, so that an
engine which the user stopped for a while finds its own things again.
"""

import json
import re
import shutil
from pathlib import Path
from typing import Final, TypedDict

from hack.cluster import paths
from hack.cluster.run import capture, succeeds

BRIDGE: Final = "br-hyperband"
_MEMORY: Final = paths.ENGINE / "host-before.json"
_FORWARD: Final = Path("/proc/sys/net/ipv4/ip_forward")
# Paths that dockerd and its containerd use whatever they are told.
_PATHS: Final = ("/etc/docker/key.json", "/opt/containerd", "/run/containerd", "/run/docker")
_TABLES: Final = ("filter", "nat")
_INTERFACES: Final = Path("/sys/class/net")
_VETH: Final = re.compile(r"veth[0-9a-f]{7}")
_CHAIN: Final = re.compile(r"DOCKER(-USER|-FORWARD|-ISOLATION-STAGE-[12])?")


class _Before(TypedDict):
    docker0: bool
    chains: bool
    ip_forward: str
    forward_policy: str
    absent: list[str]
    interfaces: list[str]


def remember() -> None:
    """Write down what is there, unless an earlier start did and was not undone yet."""
    if _MEMORY.exists():
        return
    saved = _saved("filter")
    policy = next((line.split()[1] for line in saved if line.startswith(":FORWARD ")), "ACCEPT")
    before = _Before(
        docker0=(_INTERFACES / "docker0").exists(),
        chains=any(line.startswith(":DOCKER") for line in saved),
        ip_forward=_FORWARD.read_text("ascii").strip(),
        forward_policy=policy,
        absent=[path for path in _PATHS if not Path(path).exists()],
        interfaces=sorted(interface.name for interface in _INTERFACES.iterdir()),
    )
    _MEMORY.parent.mkdir(parents=True, exist_ok=True)
    _MEMORY.write_text(json.dumps(before), encoding="utf-8")


def restore() -> None:
    """Take away what came since `remember`; do nothing where nothing was remembered."""
    if not _MEMORY.exists():
        return
    before: _Before = json.loads(_MEMORY.read_text("utf-8"))
    bridges = [BRIDGE] if before["docker0"] else [BRIDGE, "docker0"]
    for bridge in bridges:
        if (_INTERFACES / bridge).exists():
            capture(["ip", "link", "delete", bridge])
    for interface in _orphans(before["interfaces"]):
        # It may vanish by itself meanwhile.
        succeeds(["ip", "link", "delete", interface])
    if shutil.which("iptables") is not None:
        if not before["chains"]:
            for table in _TABLES:
                _remove_chains(table)
        succeeds(["iptables", "--policy", "FORWARD", before["forward_policy"]])
    _FORWARD.write_text(before["ip_forward"], encoding="ascii")
    for path in before["absent"]:
        _remove(Path(path))
    _MEMORY.unlink()


def _orphans(known: list[str]) -> list[str]:
    """The ends of cables to containers that were killed: named by docker, in no bridge."""
    return [
        interface.name
        for interface in _INTERFACES.iterdir()
        if _VETH.fullmatch(interface.name)
        and interface.name not in known
        and not (interface / "master").exists()
    ]


def _remove(path: Path) -> None:
    """Remove a file, or a folder with nothing but folders and dead sockets in it."""
    if path.is_file():
        path.unlink()
    elif path.is_dir() and not any(inner.is_file() for inner in path.rglob("*")):
        shutil.rmtree(path)


def _saved(table: str) -> list[str]:
    if shutil.which("iptables-save") is None:
        return []
    return capture(["iptables-save", "--table", table]).splitlines()


def _remove_chains(table: str) -> None:
    lines = _saved(table)
    for line in lines:
        words = line.split()
        if words[:1] == ["-A"] and any(_ours(word) for word in words[1:]):
            capture(["iptables", "--table", table, "--delete", *words[1:]])
    for line in lines:
        chain = line[1:].split()[0] if line.startswith(":") else ""
        if _CHAIN.fullmatch(chain):
            capture(["iptables", "--table", table, "--delete-chain", chain])


def _ours(word: str) -> bool:
    return bool(_CHAIN.fullmatch(word)) or word in {BRIDGE, "docker0"}
