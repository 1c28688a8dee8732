"""The container engine: the user's own where one answers, else a private dockerd.

The private one has its own socket, data and run folders, so that it meets no other engine. Its
data lie in the cache and outlive `down`; its run folder lies under /run, because the path of a
unix socket may have no more than 108 characters and a cache folder's may be long.
"""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hack.cluster import apt, capability, host, leftovers, paths
from hack.cluster.run import ClusterError, Missing, capture, say, step, succeeds

RUN: Final = Path("/run") / (
    "hyperband-engine-" + hashlib.sha256(str(paths.ENGINE).encode()).hexdigest()[:8]
)
SOCKET: Final = RUN / "docker.sock"
_WRAPPER: Final = "runc-without-sys-resource"
_START_SECONDS: Final = 60
_STOP_SECONDS: Final = 30


@dataclass(frozen=True)
class Engine:
    """A Docker engine that answers, and how to reach it."""

    private: bool
    env: dict[str, str] = field(default_factory=dict)

    def docker(self, *arguments: str, timeout: float | None = None) -> str:
        """Run the docker CLI against this engine and return its stdout."""
        return capture(["docker", *arguments], env=self.env, timeout=timeout)

    def has_image(self, reference: str) -> bool:
        """Whether the engine holds the image."""
        return succeeds(["docker", "image", "inspect", reference], env=self.env)

    def forget_others(self, repository: str, kept: Set[str]) -> None:
        """Remove the repository's other tags; what running containers use stays."""
        listed = self.docker("images", "--format={{.Repository}}:{{.Tag}}", repository)
        for reference in set(listed.split()) - kept:
            if not succeeds(["docker", "rmi", reference], env=self.env):
                say(f"the older image {reference} is in use and stays")

    def build_command(
        self,
        context: Path,
        containerfile: Path,
        reference: str,
        arguments: Mapping[str, str],
        *,
        stage: str | None = None,
        cached: bool = True,
    ) -> list[str]:
        """A `docker build`, to be run in `build_env`.

        The build's network is the host's: its name servers and proxies are known to work.
        """
        return [
            "docker",
            "build",
            "--network=host",
            f"--file={containerfile}",
            f"--tag={reference}",
            *([f"--target={stage}"] if stage else []),
            *([] if cached else ["--no-cache"]),
            *(f"--build-arg={name}={value}" for name, value in arguments.items()),
            str(context),
        ]

    def build_env(self) -> dict[str, str]:
        """The environment for `docker build`: the classic builder where buildx is not installed."""
        if succeeds(["docker", "buildx", "version"], env=self.env):
            return self.env
        return {**self.env, "DOCKER_BUILDKIT": "0"}


def running() -> Engine | None:
    """The engine that is there now, or None; starts nothing."""
    private = Engine(private=True, env={"DOCKER_HOST": f"unix://{SOCKET}"})
    if SOCKET.exists() and _answers(private):
        return private
    users = Engine(private=False)
    if shutil.which("docker") is not None and _answers(users):
        return users
    return None


def ensure() -> Engine:
    """The engine that is there, or a private one, installed and started."""
    found = running()
    if found is not None:
        return found
    _require_packages()
    _start()
    started = running()
    if started is None or not started.private:
        raise ClusterError(f"dockerd was started but does not answer; see {paths.ENGINE_LOG}")
    return started


def was_started() -> bool:
    """Whether a private engine was started and not stopped since, be it alive or dead."""
    return paths.ENGINE_PID.exists() or RUN.exists()


def stop(engine: Engine | None) -> None:
    """End the private engine and all that it left on the host; its data folder stays."""
    if engine is not None and engine.private:
        _remove_contents(engine)
    pid = _pid()
    if pid is not None:
        with step(f"stopping the private Docker engine (process {pid})"):
            _end(pid)
    leftovers.clear(RUN, paths.ENGINE_DATA)
    host.restore()
    shutil.rmtree(RUN, ignore_errors=True)
    paths.ENGINE_PID.unlink(missing_ok=True)


def _remove_contents(engine: Engine) -> None:
    """Remove what would come back with the next start; what refuses is ended with the engine."""
    containers = engine.docker("ps", "--all", "--quiet").split()
    for command in (
        ["rm", "--force", "--volumes", *containers] if containers else ["version"],
        ["network", "prune", "--force"],
        ["volume", "prune", "--force"],
    ):
        if not succeeds(["docker", *command], env=engine.env, timeout=60):
            say(f"`docker {' '.join(command[:2])}` failed; going on without it")


def _answers(engine: Engine) -> bool:
    # `docker info` ends with 0 although the server is away; a format of its own does not.
    return succeeds(["docker", "version", "--format", "{{.Server.Version}}"], env=engine.env)


def _require_packages() -> None:
    absent = [
        package
        for package, program in (("docker.io", "dockerd"), ("iptables", "iptables"))
        if shutil.which(program) is None
    ]
    if os.geteuid() != 0:
        raise Missing("no Docker engine answers", "start Docker (`docker info` must work)")
    if not absent:
        return
    if not apt.usable():
        raise Missing(
            "no Docker engine answers, and none can be installed on this distribution",
            "install and start Docker (`docker info` must work)",
        )
    apt.install(absent)
    if shutil.which("docker") is None:
        # Newer releases of Debian have the client in a package of its own.
        apt.install(["docker-cli"])


def _start() -> None:
    """Start dockerd in a session of its own, so that it survives the shell that asked for it."""
    hung = _pid()
    if hung is not None:
        say(f"our dockerd (process {hung}) does not answer and is started again")
        _end(hung)
    leftovers.remove_stale_pid_files(RUN)
    for folder in (RUN, paths.ENGINE_DATA, paths.LOGS):
        folder.mkdir(parents=True, exist_ok=True)
    host.remember()
    config = paths.ENGINE / "daemon.json"
    config.write_text(json.dumps(_daemon_config(), indent=1), encoding="utf-8")
    with step("starting a private Docker engine"), paths.ENGINE_LOG.open("w") as log:
        process = subprocess.Popen(
            ["dockerd", "--config-file", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
        )
        paths.ENGINE_PID.write_text(f"{process.pid}\n", encoding="ascii")
        deadline = time.monotonic() + _START_SECONDS
        probe = Engine(private=True, env={"DOCKER_HOST": f"unix://{SOCKET}"})
        while not (SOCKET.exists() and _answers(probe)):
            if process.poll() is not None or time.monotonic() > deadline:
                tail = paths.ENGINE_LOG.read_text("utf-8", errors="replace").splitlines()[-15:]
                raise ClusterError("dockerd did not come up:\n" + "\n".join(tail))
            time.sleep(0.2)


def _daemon_config() -> dict[str, object]:
    config: dict[str, object] = {
        "hosts": [f"unix://{SOCKET}"],
        "data-root": str(paths.ENGINE_DATA),
        "exec-root": str(RUN / "exec"),
        "pidfile": str(RUN / "docker.pid"),
        # The nodes outlive a dockerd that was killed, and the next `up` finds them running.
        "live-restore": True,
        # The default of -500 may not be set on a machine without CAP_SYS_RESOURCE.
        "oom-score-adjust": 0,
        "log-driver": "json-file",
        "log-opts": {"max-size": "10m", "max-file": "1"},
        "shutdown-timeout": 5,
    }
    if capability.lacks_sys_resource():
        wrapper = RUN / _WRAPPER
        shutil.copy(paths.RECIPES / "engine" / _WRAPPER, wrapper)
        wrapper.chmod(0o755)
        config["runtimes"] = {_WRAPPER: {"path": str(wrapper)}}
        config["default-runtime"] = _WRAPPER
    return config


def _pid() -> int | None:
    """The recorded pid, if it is still our dockerd's and not another process's by now.

    Recorded by us or, where `up` was killed in between, by dockerd itself.
    """
    for record in (paths.ENGINE_PID, RUN / "docker.pid"):
        text = record.read_text("ascii").strip() if record.exists() else ""
        if text.isdigit() and leftovers.mentions(int(text), str(paths.ENGINE / "daemon.json")):
            return int(text)
    return None


def _end(pid: int) -> None:
    for sign, patience in ((signal.SIGTERM, _STOP_SECONDS), (signal.SIGKILL, 5)):
        try:
            os.kill(pid, sign)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if leftovers.ended(pid):
                return
            time.sleep(0.1)
    say(f"process {pid} does not end")


def docker_command(engine: Engine, arguments: Sequence[str]) -> int:
    """Run the docker CLI in the foreground with this terminal; return its exit code."""
    return subprocess.run(
        ["docker", *arguments], env={**os.environ, **engine.env}, check=False
    ).returncode
