"""The project's own objects in the cluster: definitions, permissions, policies."""

from typing import Final

from hack.cluster import kindcluster, paths
from hack.cluster.run import step

# Trials of the default namespace may report; others get that from whoever uses them.
_FOLDERS: Final = ("crds", "manifests/install", "manifests/namespace")


def apply_all() -> None:
    """Apply the folders that hold manifests; the definitions first, and wait for these."""
    for name in _FOLDERS:
        folder = f"--filename={paths.REPOSITORY / name}"
        with step(f"applying {name}/"):
            kindcluster.kubectl(
                "apply",
                "--server-side",
                "--force-conflicts",  # whoever installed before, and however
                folder,
            )
            if name == "crds":
                kindcluster.kubectl(
                    "wait", "--for=condition=Established", folder, "--timeout=60s", timeout=90
                )
