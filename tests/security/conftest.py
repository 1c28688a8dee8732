"""The cluster's fixtures, for attackers."""

from tests.cluster.conftest import (
    bare_namespace,
    connection,
    kubeconfig,
    kubectl_on_the_path,
    namespace,
    sidecar_image,
)

__all__ = [
    "bare_namespace",
    "connection",
    "kubeconfig",
    "kubectl_on_the_path",
    "namespace",
    "sidecar_image",
]
