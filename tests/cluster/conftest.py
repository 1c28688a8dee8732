"""Fixtures of the tests that need a cluster: they fail, never skip, where there is none."""

import os
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client, config

from hack.cluster import engine as engines
from hack.cluster import images, kindcluster
from hack.cluster.__main__ import state
from hyperband.backends.kubernetes.sidecar import SIDECAR_IMAGE

connect: Any = config.new_client_from_config  # the package types it only in part

MEND = "run `make test-cluster`, or set KUBECONFIG to a cluster with crds/ and manifests/install"
REPORTER = Path(__file__).resolve().parents[2] / "manifests/namespace/reporter.yaml"
TIMEOUT_SECONDS = 10
# An API server that its kubelet has just started anew is back within this time.
PATIENCE_SECONDS = 180
LAST = "test_permissions"  # it judges what all the others have done


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.stem == LAST)


@pytest.fixture(scope="session", autouse=True)
def tests_since(request: pytest.FixtureRequest) -> datetime | None:
    """When the first test on the cluster began; None where there is but the last one."""
    alone = all(item.path.stem == LAST for item in request.session.items)
    return None if alone else datetime.now(UTC)


@pytest.fixture(scope="session", autouse=True)
def kubectl_on_the_path() -> None:
    """Tests call kubectl as people do; where it is not installed, `make up` has built one."""
    folder = Path(kindcluster.kubectl_program()).parent
    os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"


@pytest.fixture(scope="session")
def kubeconfig() -> Path:
    """The kubeconfig of a cluster that answers and has the definitions installed."""
    chosen = os.environ.get("HYPERBAND_KUBECONFIG") or os.environ.get("KUBECONFIG")
    if not chosen:
        pytest.fail(f"neither HYPERBAND_KUBECONFIG nor KUBECONFIG is set: {MEND}", pytrace=False)
    path = Path(chosen)
    if not path.is_file():
        pytest.fail(f"there is no kubeconfig at {path}: {MEND}", pytrace=False)
    found = served_groups(path)
    if not any(group.name == "hyperband.dev" for group in found.groups):
        pytest.fail(f"the cluster at {path} has no HyperbandStudy: {MEND}", pytrace=False)
    return path


def served_groups(path: Path) -> Any:
    """The API's groups, from a cluster that may need a while to answer."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            with connect(str(path)) as connection:
                return client.ApisApi(connection).get_api_versions(_request_timeout=TIMEOUT_SECONDS)
        except Exception as error:  # whatever keeps it from answering
            if time.monotonic() > deadline:
                said = [f"no cluster answers at {path} ({error}): {MEND}", *state()]
                pytest.fail("\n".join(said), pytrace=False)
            time.sleep(1)


@pytest.fixture(scope="session")
def connection(kubeconfig: Path) -> Iterator[Any]:
    """A connection of the `kubernetes` package, as the kubeconfig's user."""
    with connect(str(kubeconfig)) as opened:
        yield opened


def _await_controllers(core: Any, namespace: str) -> None:
    """Waits for what controllers put into a new namespace, and pods cannot do without.

    Without the account the API server refuses a pod that names none; without the certificates the
    volume of a trial's pod cannot be mounted.
    """
    reads = {
        "default": core.read_namespaced_service_account,
        "kube-root-ca.crt": core.read_namespaced_config_map,
    }
    deadline = time.monotonic() + PATIENCE_SECONDS
    for name, read in reads.items():
        while True:
            try:
                read(name, namespace)
            except client.ApiException as error:
                if error.status != 404 or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                break


@contextmanager
def _namespace(connection: Any) -> Iterator[str]:
    core: Any = client.CoreV1Api(connection)
    name = f"test-{uuid.uuid4().hex[:10]}"
    core.create_namespace({"metadata": {"name": name, "labels": {"hyperband.dev/test": ""}}})
    try:
        _await_controllers(core, name)
        yield name
    finally:
        core.delete_namespace(name)


def _permit_reports(connection: Any, namespace: str) -> None:
    core: Any = client.CoreV1Api(connection)
    rbac: Any = client.RbacAuthorizationV1Api(connection)
    create: dict[str, Any] = {
        "ServiceAccount": core.create_namespaced_service_account,
        "RoleBinding": rbac.create_namespaced_role_binding,
    }
    for manifest in yaml.safe_load_all(REPORTER.read_text(encoding="utf-8")):
        create[manifest["kind"]](namespace, manifest)


@pytest.fixture
def bare_namespace(connection: Any) -> Iterator[str]:
    """A namespace of the test's own, in which nothing may report."""
    with _namespace(connection) as name:
        yield name


@pytest.fixture
def namespace(connection: Any, bare_namespace: str) -> str:
    """A namespace of the test's own, in which trials may report."""
    _permit_reports(connection, bare_namespace)
    return bare_namespace


@pytest.fixture
def six_namespaces(connection: Any) -> Iterator[list[str]]:
    """Namespaces of the test's own, in which trials may report."""
    with ExitStack() as made:
        names = [made.enter_context(_namespace(connection)) for _ in range(6)]
        for name in names:
            _permit_reports(connection, name)
        yield names


@pytest.fixture(scope="session")
def sidecar_image() -> None:
    """The image of sidecars that the operator takes by default is on all nodes of our cluster."""
    assert images.SIDECAR_RECIPE.reference == SIDECAR_IMAGE
    engine = engines.running()
    assert engine is not None, "images can be brought to our own kind cluster alone: make up"
    images.ensure(engine, images.SIDECAR_RECIPE)
