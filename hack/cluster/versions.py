"""The pinned versions, in one place: everything that is downloaded, built or cached names these."""

import os
from typing import Final

# Those that can be had with KUBERNETES=1.33 make …: what is built from Go modules, and the image
# that kind v0.30.0 was released with, whose authors ask for these exact bits.
SUPPORTED: Final = {
    "1.34": (
        "v1.34.4",
        "kindest/node:v1.34.0@sha256:7416a61b42b1662ca6ca89f02028ac133a309a2a30ba309614e8ec94d976dc5a",
    ),
    "1.33": (
        "v1.33.13",
        "kindest/node:v1.33.4@sha256:25a6018e48dfcaee478f4a59af81157a437f15e6e140bf103f85a2e7cd0cbbf2",
    ),
}


def _wanted() -> tuple[str, str]:
    minor = os.environ.get("KUBERNETES") or "1.34"
    if minor not in SUPPORTED:
        raise SystemExit(f"KUBERNETES={minor}: it may be {' or '.join(SUPPORTED)}")
    return SUPPORTED[minor]


KUBERNETES, OFFICIAL_NODE_IMAGE = _wanted()
KIND: Final = "v0.30.0"
ETCD: Final = "v3.6.5"
COREDNS: Final = "v1.12.1"
HELM: Final = "v3.19.0"
KUBECONFORM: Final = "v0.7.0"
REGCLIENT: Final = "v0.11.5"
PROMETHEUS: Final = "v0.313.5"  # what the module calls 3.13.5
PROMETHEUS_OPERATOR: Final = "v0.85.0"  # whose definitions manifests are checked by
KWOK: Final = "v0.7.0"
KARPENTER: Final = "v1.8.0"
# containerd's own sandbox image is 3.10, kubeadm asks for 3.10.1: the same program serves both.
PAUSE: Final = ("3.10", "3.10.1")
DEBIAN: Final = "bookworm"

OFFICIAL_PYTHON_IMAGE: Final = "python:3.11-slim"
NUMPY: Final = "2.3.4"
SCIKIT_LEARN: Final = "1.7.2"


def staging_version() -> str:
    """The version of the k8s.io/* libraries that are published with this Kubernetes (v0.34.4)."""
    _, minor, patch = KUBERNETES.split(".")
    return f"v0.{minor}.{patch}"


def kubernetes_minor() -> str:
    """The minor version alone, as the API server reports it ("34")."""
    return KUBERNETES.split(".")[1]
