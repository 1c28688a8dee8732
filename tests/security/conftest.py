"""The cluster's fixtures, none of them autouse: tests that need no cluster are here too."""

from tests.cluster.conftest import (
    bare_namespace,
    connection,
    kubeconfig,
    namespace,
    sidecar_image,
)

__all__ = ["bare_namespace", "connection", "kubeconfig", "namespace", "sidecar_image"]
