"""The operator in the cluster, from its image, as the chart installs it.

What is asked for here goes through `helm` and `kubectl`, as an administrator's commands do.
"""

import json
import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hack.chart import helm
from hack.chart.files import CHART
from hack.cluster import engine as engines
from hack.cluster import images, install, kindcluster, paths
from hack.cluster.engine import Engine

SYSTEM = helm.NAMESPACE
TIMEOUT = "4m"  # of an installation, on a busy machine of two cores
# Objects that a cluster has once, and whoever made the cluster has installed.
BESIDE_OTHERS = ("--set=crds.install=false,policies.install=false,clusterRoles.install=false",)


def run(*words: str, stdin: str | None = None) -> str:
    """What a command prints.

    Raises:
        AssertionError: it fails; with what it says.
    """
    done = subprocess.run(words, input=stdin, capture_output=True, text=True, env=environment())
    assert done.returncode == 0, f"{' '.join(words)}: {done.stdout}{done.stderr}"
    return done.stdout


def environment() -> dict[str, str]:
    """Where `helm` is found, and keeps nothing in the user's home."""
    folder, path = str(Path(helm.program()).parent), os.environ["PATH"]
    found = path if folder in path.split(os.pathsep) else f"{folder}{os.pathsep}{path}"
    kinds = ("CACHE", "CONFIG", "DATA")
    homes = {f"HELM_{kind}_HOME": str(paths.CACHE / "helm" / kind.lower()) for kind in kinds}
    return {**os.environ, **homes, "PATH": found}


def kubectl(*words: str, stdin: str | None = None) -> str:
    return run("kubectl", *words, stdin=stdin)


def objects(*words: str) -> Any:
    """What `kubectl get` gives."""
    text = kubectl("get", *words, "-o", "json")
    return json.loads(text) if text else None


def _engine() -> Engine:
    """The engine of the cluster's nodes."""
    engine = engines.running()
    assert engine is not None, "the cluster is not the one of `make up`"
    return engine


def on_node(node: str, *command: str) -> str:
    """Runs a command in a node's container."""
    return _engine().docker("exec", node, *command)


def load_image() -> None:
    """Builds the operator's image and loads it into the nodes, where something has changed."""
    images.ensure(_engine(), images.OPERATOR_RECIPE)


@dataclass
class Release:
    """An installation of the chart.

    Args:
        values: `--set=…` of every installation and upgrade.
    """

    name: str
    namespace: str
    values: Sequence[str] = ()
    chart: Path = field(default=paths.REPOSITORY / CHART)

    @property
    def full_name(self) -> str:
        return self.name if "hyperband-operator" in self.name else f"{self.name}-hyperband-operator"

    def helm(self, *words: str) -> str:
        return run("helm", "-n", self.namespace, *words)

    def install(self, *words: str) -> None:
        """Until the operator is ready."""
        wait = ("--wait", f"--timeout={TIMEOUT}")
        self.helm("install", self.name, str(self.chart), *self.values, *wait, *words)

    def upgrade(self, *words: str) -> None:
        """To the chart as it is now, until the operator is ready."""
        wait = ("--wait", f"--timeout={TIMEOUT}")
        self.helm("upgrade", self.name, str(self.chart), *self.values, *wait, *words)

    def uninstall(self) -> None:
        self.helm("uninstall", self.name, "--wait", f"--timeout={TIMEOUT}")

    def pods(self, name: str = "hyperband-operator") -> list[dict[str, Any]]:
        """Its pods of that name, the operator's, that are not about to end."""
        of_it = f"app.kubernetes.io/instance={self.name}"
        selector = f"app.kubernetes.io/name={name},{of_it}"
        found = objects("pods", "-n", self.namespace, "-l", selector)["items"]
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def ready_pods(self) -> list[dict[str, Any]]:
        return [
            pod
            for pod in self.pods()
            if any(
                row["type"] == "Ready" and row["status"] == "True"
                for row in pod["status"].get("conditions", [])
            )
        ]

    def log(self) -> str:
        """Of all its pods, ended containers left out."""
        return "".join(
            kubectl("logs", "-n", self.namespace, pod["metadata"]["name"]) for pod in self.pods()
        )


@contextmanager
def installed_for_all(*values: str) -> Iterator[Release]:
    """One that works on all namespaces; what was there of the chart's objects becomes its own."""
    load_image()
    release = Release("hyperband-operator", SYSTEM, values)
    release.install("--take-ownership")
    try:
        yield release
    finally:
        release.uninstall()
        restore()


def viewer(namespace: str, name: str, *role: str) -> str:
    """The token of a new account with that role in the namespace, or with none."""
    kubectl("create", "serviceaccount", "-n", namespace, name)
    if role:
        account = f"--serviceaccount={namespace}:{name}"
        kubectl("create", "rolebinding", "-n", namespace, name, account, *role)
    return kubectl("create", "token", "-n", namespace, name).strip()


def refused(log: str) -> list[str]:
    """What the roles do not allow of what an operator has tried, by its log.

    403 alone may be said of a namespace that is about to go, too.
    """
    return re.findall(r"cannot \w+ resource [^ ]+", log)


def holder(namespace: str = SYSTEM, lease: str = "hyperband-operator") -> str:
    """The process that holds a Lease, "" where none does; its name begins with that of its pod."""
    found = objects("lease", "-n", namespace, "--ignore-not-found", lease)
    return str(found["spec"].get("holderIdentity") or "") if found else ""


def leader(namespace: str = SYSTEM, lease: str = "hyperband-operator") -> str:
    """The pod that holds a Lease, "" where none does."""
    return holder(namespace, lease).partition("_")[0]


def restore() -> None:
    """The cluster's own objects as `make up` installs them, and no Lease.

    An operator whose roles go before it cannot give its Lease back, and each one for a namespace
    would wait at its start until that has run out before its eyes.
    """
    install.apply_all()
    kubectl("delete", "lease", "-n", SYSTEM, "--ignore-not-found", "hyperband-operator")


def retag(repository: str, old: str, new: str) -> None:
    """Gives the operator's image another tag in every worker that has it."""
    for node in kindcluster.nodes(_engine()):
        if not node.name.endswith("-control-plane"):
            tags = (f"{repository}:{old}", f"{repository}:{new}")
            on_node(node.name, "ctr", "-n", "k8s.io", "images", "tag", "--force", *tags)
