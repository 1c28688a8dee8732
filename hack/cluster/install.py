"""The project's own objects in the cluster: definitions, permissions, policies."""

from typing import Final

from hack.cluster import kindcluster, paths
from hack.cluster.run import step

# Trials of the default namespace may report; others get that from whoever uses them.
_FOLDERS: Final = ("crds", "manifests/install", "manifests/namespace")
# `up` leaves it to others whether an operator runs, and where: tests have processes of their own.
OPERATOR: Final = "40-operator.yaml"


def apply_all() -> None:
    """Apply what the folders hold, without the operator itself; the definitions first."""
    for name in _FOLDERS:
        files = sorted((paths.REPOSITORY / name).glob("*.yaml"))
        words = [f"--filename={path}" for path in files if path.name != OPERATOR]
        with step(f"applying {name}/"):
            kindcluster.kubectl(
                "apply",
                "--server-side",
                "--force-conflicts",  # whoever installed before, and however
                *words,
            )
            if name == "crds":
                kindcluster.kubectl(
                    "wait", "--for=condition=Established", *words, "--timeout=60s", timeout=90
                )
