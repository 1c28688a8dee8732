"""The project's own objects in the cluster: definitions, permissions, policies."""

from pathlib import Path
from typing import Final

from hack.cluster import kindcluster, paths
from hack.cluster.run import step

# Trials of the default namespace may report; others get that from whoever uses them.
_FOLDERS: Final = ("crds", "manifests/install", "manifests/namespace")


def apply_all() -> None:
    """Apply the folders that hold manifests; the definitions first, and wait for these."""
    for name in _FOLDERS:
        folder = paths.REPOSITORY / name
        if not _manifests(folder):
            continue
        with step(f"applying {name}/"):
            kindcluster.kubectl(
                "apply",
                "--server-side",
                "--force-conflicts",
                "--field-manager=hyperband-install",
                *(
                    ["--kustomize", str(folder)]
                    if (folder / "kustomization.yaml").exists()
                    else ["--filename", str(folder)]
                ),
            )
            if name == "crds":
                kindcluster.kubectl(
                    "wait",
                    "--for=condition=Established",
                    f"--filename={folder}",
                    "--timeout=60s",
                    timeout=90,
                )


def _manifests(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [path for path in folder.iterdir() if path.suffix in {".yaml", ".yml", ".json"}]
