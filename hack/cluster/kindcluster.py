"""The kind cluster: made, found whole, mended or removed."""

import hashlib
import json
import shutil
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from hack.cluster import gobuild, host, kindconfig, paths, versions
from hack.cluster.engine import Engine
from hack.cluster.run import (
    ClusterError,
    CommandFailed,
    Missing,
    capture,
    logged,
    say,
    step,
    succeeds,
)

NETWORK: Final = "hyperband"
_CREATED: Final = paths.CLUSTER / "created.json"
_MENDING_SECONDS: Final = 90


@dataclass(frozen=True)
class Node:
    """A node's container."""

    name: str
    state: str


def kind_program() -> str:
    """The kind program: our pinned one if it was built, else the one on PATH, else built now."""
    if gobuild.KIND.binary.exists():
        return str(gobuild.KIND.binary)
    on_path = shutil.which("kind")
    if on_path is not None and versions.KIND in capture([on_path, "version"]):
        return on_path
    if shutil.which("go") is None:
        if on_path is not None:
            say(f"using {on_path}, though its version is not {versions.KIND}")
            return on_path
        raise Missing("there is no `kind`", f"install kind {versions.KIND}, or Go to build it with")
    gobuild.build([gobuild.KIND])
    return str(gobuild.KIND.binary)


def kubectl_program() -> str:
    """The kubectl program: the one built for the node image, else PATH's, else built now."""
    if gobuild.KUBECTL.binary.exists():
        return str(gobuild.KUBECTL.binary)
    on_path = shutil.which("kubectl")
    if on_path is not None:
        return on_path
    if shutil.which("go") is None:
        raise Missing("there is no `kubectl`", "install kubectl, or Go to build it with")
    gobuild.build([gobuild.KUBECTL])
    return str(gobuild.KUBECTL.binary)


def kubectl(*arguments: str, timeout: float | None = 60) -> str:
    """Run kubectl against our cluster and return its stdout."""
    return capture(
        [kubectl_program(), f"--kubeconfig={paths.KUBECONFIG}", *arguments], timeout=timeout
    )


def nodes(engine: Engine, cluster: str = paths.CLUSTER_NAME) -> list[Node]:
    """The cluster's node containers, whatever their state."""
    listed = engine.docker(
        "ps",
        "--all",
        f"--filter=label=io.x-k8s.kind.cluster={cluster}",
        "--format={{.Names}} {{.State}}",
    )
    return sorted(
        (Node(*line.split()) for line in listed.splitlines() if line), key=lambda node: node.name
    )


def ensure(engine: Engine, image: str, official: bool) -> bool:
    """Have a cluster whose API server answers; return whether it was made now."""
    config = json.dumps(kindconfig.config(official), indent=1)
    policy = kindconfig.AUDIT_POLICY.read_text("utf-8")
    wanted = hashlib.sha256(f"{image}\n{config}\n{policy}".encode()).hexdigest()
    if _reusable(engine, wanted):
        prepare_folders()
        return False
    delete(engine)
    prepare_folders()
    _create_network(engine)
    config_file = paths.CLUSTER / "kind.json"
    config_file.write_text(config, encoding="utf-8")
    with step("creating the cluster, 1 control plane and 2 workers, about 40 s"):
        logged(
            "kind-create",
            [
                kind_program(),
                "create",
                "cluster",
                f"--name={paths.CLUSTER_NAME}",
                f"--image={image}",
                f"--config={config_file}",
                f"--kubeconfig={paths.KUBECONFIG}",
            ],
            env=_kind_env(engine),
        )
    _CREATED.write_text(json.dumps({"wanted": wanted, "image": image}), encoding="utf-8")
    return True


def prepare_folders() -> None:
    """The host folders that the nodes mount."""
    paths.CHECKPOINTS.mkdir(parents=True, exist_ok=True)
    # Trials run as any user, in any node.
    paths.CHECKPOINTS.chmod(0o1777)
    policy = paths.CLUSTER / "audit"
    policy.mkdir(exist_ok=True)
    shutil.copy(kindconfig.AUDIT_POLICY, policy / "policy.yaml")


def delete(engine: Engine) -> None:
    """Remove the cluster, whole or half-made, its network and its folder."""
    found = nodes(engine)
    if found:
        with step(f"removing the cluster {paths.CLUSTER_NAME}"):
            names = [node.name for node in found]
            for node in found:
                if node.state == "paused":
                    engine.docker("unpause", node.name)
            engine.docker("rm", "--force", "--volumes", *names)
    if succeeds(["docker", "network", "inspect", NETWORK], env=engine.env):
        try:
            engine.docker("network", "rm", NETWORK)
        except CommandFailed as refused:
            # Someone's own container is attached: the network stays for the next cluster.
            say(f"the network {NETWORK} stays: {refused.output.strip()}")
    shutil.rmtree(paths.CLUSTER, ignore_errors=True)


def load(engine: Engine, image: str, cluster: str = paths.CLUSTER_NAME) -> None:
    """Load an image of the engine into the workers that do not hold this very one.

    Not into the control plane, whose taint keeps all pods but Kubernetes' own away; unless there
    is no other node.
    """
    image_id = _id(engine, image)
    mark = f"/kind/loaded/{hashlib.sha256(image.encode()).hexdigest()[:16]}"
    there = f'grep -qx {image_id} {mark} && ctr -n k8s.io images ls -q | grep -qxF "$0"'
    found = [node.name for node in nodes(engine, cluster)]
    workers = [name for name in found if not name.endswith("-control-plane")]
    lacking = [
        name
        for name in workers or found
        if not succeeds(
            ["docker", "exec", name, "sh", "-c", there, qualified(image)], env=engine.env
        )
    ]
    if not lacking:
        return
    with step(f"loading {image} into {' and '.join(lacking)}"):
        logged(
            "kind-load",
            [
                kind_program(),
                "load",
                "docker-image",
                image,
                f"--name={cluster}",
                f"--nodes={','.join(lacking)}",
            ],
            env=_kind_env(engine),
        )
        remember = f"mkdir -p /kind/loaded && echo {image_id} > {mark}"
        for name in lacking:
            engine.docker("exec", name, "sh", "-c", remember)


def _id(engine: Engine, image: str) -> str:
    try:
        return engine.docker("image", "inspect", "--format={{.Id}}", image).strip()
    except CommandFailed as absent:
        # A private engine is not the one that `docker` alone asks.
        where = "".join(f"{name}={value} " for name, value in engine.env.items())
        raise ClusterError(
            f"the engine of this cluster has no image {image}: build it there, by "
            f"{where}docker build --tag {image} FOLDER"
        ) from absent


def qualified(image: str) -> str:
    """An image's name as containerd holds it, with registry and tag."""
    registry, slash, _ = image.partition("/")
    has_registry = slash and ("." in registry or ":" in registry or registry == "localhost")
    if not has_registry:
        image = f"docker.io/{image}" if slash else f"docker.io/library/{image}"
    return image if ":" in image.rpartition("/")[2] else f"{image}:latest"


def others(engine: Engine) -> list[str]:
    """The node containers of other kind clusters on this engine."""
    everyone = engine.docker(
        "ps", "--all", "--filter=label=io.x-k8s.kind.cluster", "--format={{.Names}}"
    )
    return sorted(set(everyone.split()) - {node.name for node in nodes(engine)})


def api_answers(patience_seconds: float = 0) -> bool:
    """Whether the API server of a cluster that is there says in time that it is ready."""
    deadline = time.monotonic() + patience_seconds
    while paths.KUBECONFIG.exists():
        try:
            kubectl("get", "--raw=/readyz", "--request-timeout=5s", timeout=15)
        except CommandFailed:
            if time.monotonic() >= deadline:
                return False
            time.sleep(1)
        else:
            return True
    return False


def last_words(engine: Engine) -> list[str]:
    """What a control plane whose API server does not answer says of it, in its nodes' words."""
    control_plane = f"{paths.CLUSTER_NAME}-control-plane"
    questions = (
        "crictl ps --all",
        'tail --lines=12 "$(ls -t /var/log/pods/kube-system_kube-apiserver-*/*/*.log | head -1)"',
        "journalctl --unit=kubelet --lines=12 --no-pager",
    )
    lines: list[str] = []
    for question in questions:
        lines.append(f"{control_plane}$ {question}")
        try:
            said = engine.docker("exec", control_plane, "sh", "-c", question, timeout=20)
        except CommandFailed as failure:
            said = str(failure)
        lines += [f"  {line}" for line in said.splitlines()]
    return lines


def _reusable(engine: Engine, wanted: str) -> bool:
    found = nodes(engine)
    if not found:
        return False
    if not _CREATED.exists():
        say("the cluster was left half-made and is made anew")
        return False
    if json.loads(_CREATED.read_text("utf-8"))["wanted"] != wanted:
        say("the cluster was made by another recipe and is made anew")
        return False
    if len(found) != 1 + kindconfig.WORKERS:
        say(f"the cluster has {len(found)} of its nodes and is made anew")
        return False
    return _mended(engine, found)


def _mended(engine: Engine, found: list[Node]) -> bool:
    """Start and unpause what stands still; whether the API server then answers."""
    since = datetime.now(UTC)
    still = [node for node in found if node.state != "running"]
    for node in still:
        if node.state == "paused":
            say(f"{node.name} is paused and goes on")
            engine.docker("unpause", node.name)
        else:
            say(f"{node.name} is {node.state} and starts again")
            if not succeeds(["docker", "start", node.name], env=engine.env, timeout=60):
                return False
    if not still and api_answers():
        return True
    with step("waiting for the cluster that is there to go on"):
        deadline = time.monotonic() + _MENDING_SECONDS
        while time.monotonic() < deadline:
            time.sleep(1)
            if api_answers() and _heard_from_all(since):
                return True
    say("its API server or a node does not come back; the cluster is made anew")
    return False


def _heard_from_all(since: datetime) -> bool:
    """Whether every node's kubelet has called since: what the API says of it is old before."""
    try:
        answer = kubectl("--namespace=kube-node-lease", "get", "leases", "--output=json")
    except CommandFailed:
        # It answered a moment ago: it is still starting, and is asked again.
        return False
    leases = json.loads(answer)["items"]
    renewed = [datetime.fromisoformat(lease["spec"]["renewTime"]) for lease in leases]
    return len(renewed) == 1 + kindconfig.WORKERS and all(moment > since for moment in renewed)


def _create_network(engine: Engine) -> None:
    # A network of our own rather than kind's shared one: `down` may remove it whole. Its bridge
    # has a fixed name, by which it is found even when the engine was killed.
    if not succeeds(["docker", "network", "inspect", NETWORK], env=engine.env):
        engine.docker(
            "network",
            "create",
            "--driver=bridge",
            "--opt=com.docker.network.bridge.enable_ip_masquerade=true",
            f"--opt=com.docker.network.bridge.name={host.BRIDGE}",
            NETWORK,
        )


def _kind_env(engine: Engine) -> dict[str, str]:
    return {
        **engine.env,
        "KIND_EXPERIMENTAL_DOCKER_NETWORK": NETWORK,
        "KIND_EXPERIMENTAL_PROVIDER": "docker",
    }
