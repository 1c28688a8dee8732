"""The chart's templates for five sets of values, without a cluster; UPDATE_GOLDEN=1 writes again.

What is the same for all values, the texts of definitions, policies and the dashboard, is left out
of the golden files: `hack.generate --check` and other tests look after it.
"""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.chart import helm
from hack.chart.files import CHART, NAME
from hack.cluster.paths import REPOSITORY
from hack.cluster.run import CommandFailed
from hack.generate import drifted

GOLDEN = REPOSITORY / "tests/golden/chart"
SETS = sorted((Path(__file__).parent / "values").glob("*.yaml"))
SHORTENED = re.compile(
    r"^kind: (?:CustomResourceDefinition|ValidatingAdmissionPolicy|PrometheusRule|ConfigMap)$", re.M
)
RESTRICTED = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True}


@pytest.fixture(scope="session", autouse=True)
def a_helm() -> str:
    """Built now where there is none, outside of any one test's time."""
    return helm.program()


def rendered(*arguments: str, release: str = NAME) -> list[dict[str, Any]]:
    text = helm.template(*arguments, release=release)
    return [each for each in yaml.safe_load_all(text) if each]


def of_kind(objects: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [each for each in objects if each["kind"] == kind]


def shortened(text: str) -> str:
    """Without the texts that are the same for all values."""
    documents = re.split(r"^---\n", text, flags=re.M)
    return "---\n".join(
        re.split(r"^(?:spec|data):", each, flags=re.M)[0] if SHORTENED.search(each) else each
        for each in documents
    )


@pytest.mark.parametrize("values", SETS, ids=lambda path: path.stem)
def test_golden(values: Path) -> None:
    golden = GOLDEN / f"{values.stem}.yaml"
    text = shortened(helm.template(f"--values={values}"))
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8"), "see the difference: make generate, git diff"


@pytest.mark.parametrize("values", SETS, ids=lambda path: path.stem)
def test_lint(values: Path) -> None:
    words = [helm.program(), "lint", "--strict", "--quiet", f"--values={values}"]
    done = subprocess.run([*words, REPOSITORY / CHART], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_plain_manifests_are_what_the_chart_makes() -> None:
    assert drifted(helm.manifests()) == [], "run `python -m hack.generate`"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("replica=2", "additional properties 'replica' not allowed"),
        ("crds.instal=true", "additional properties 'instal' not allowed"),
        ("namespaces=team", "got string, want array"),
        ("namespaces={Team}", "does not match pattern"),
        ("replicas=-1", "minimum: got -1, want 0"),
        ("image.pullPolicy=Sometimes", "must be one of"),
        ("image.digest=latest", "does not match pattern"),
        ("logFormat=xml", "must be one of"),
        (r"commonLabels.app\.kubernetes\.io/name=x", "propertyName 'app.kubernetes.io/name'"),
        (r"podLabels.app\.kubernetes\.io/instance=x", "'app.kubernetes.io/instance'"),
        (r"grafanaDashboard.labels.helm\.sh/chart=x", "propertyName 'helm.sh/chart'"),
        ("serviceMonitor.enabled=true,metrics.service=false", "needs metrics.service"),
    ],
)
def test_what_is_wrong_is_refused(words: str, said: str) -> None:
    with pytest.raises(CommandFailed) as refused:
        helm.template(f"--set={words}")
    assert said in refused.value.output


@pytest.mark.parametrize("values", SETS, ids=lambda path: path.stem)
def test_labels_are_everywhere(values: Path) -> None:
    objects = rendered(f"--values={values}", "--set=commonLabels.found=yes")
    assert objects
    for each in objects:
        labels = each["metadata"]["labels"]
        assert labels["found"] == "yes", each["metadata"]["name"]
        assert labels["app.kubernetes.io/managed-by"] == "Helm"
    for deployment in of_kind(objects, "Deployment"):
        pod = deployment["spec"]["template"]["metadata"]["labels"]
        assert pod["found"] == "yes"
        assert deployment["spec"]["selector"]["matchLabels"].items() <= pod.items()
        assert "found" not in deployment["spec"]["selector"]["matchLabels"], "it cannot change"


def test_pods_are_as_restricted_as_can_be() -> None:
    deployments = of_kind(rendered("--set=dashboard.enabled=true"), "Deployment")
    assert len(deployments) == 2
    for deployment in deployments:
        pod = deployment["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            context = container["securityContext"]
            assert RESTRICTED.items() <= context.items()
            assert context["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize("release", ["team.one", "hyperband-operator.1.2"])
def test_a_release_with_dots_has_names_that_services_may_have(release: str) -> None:
    objects = rendered("--set=dashboard.enabled=true", release=release)
    names = {each["metadata"]["name"] for each in of_kind(objects, "Service")}
    own = release.replace(".", "-")
    own = own if "hyperband-operator" in own else f"{own}-hyperband-operator"
    assert names == {f"{own}-metrics", f"{own}-dashboard"}
    (account,) = {
        each["spec"]["template"]["spec"]["serviceAccountName"]
        for each in of_kind(objects, "Deployment")
        if each["metadata"]["name"] == own
    }
    assert account in {each["metadata"]["name"] for each in of_kind(objects, "ServiceAccount")}


def test_there_is_no_page_unless_it_is_asked_for() -> None:
    assert not [each for each in rendered() if each["metadata"]["name"].endswith("-dashboard")]


def test_the_page_may_read_and_ask_and_nothing_else() -> None:
    """Of its own rights none writes; its pods are not taken for the operator's."""
    objects = rendered("--set=dashboard.enabled=true,namespaces={a,b}")
    own = [each for each in objects if each["metadata"]["name"].endswith("-dashboard")]
    roles = [*of_kind(own, "Role"), *of_kind(own, "ClusterRole")]
    assert len(roles) == 3
    for role in roles:
        for rule in role["rules"]:
            reviews = {"tokenreviews", "subjectaccessreviews"}
            asks = set(rule["resources"]) <= reviews and rule["verbs"] == ["create"]
            assert asks or set(rule["verbs"]) <= {"get", "list", "watch"}
            assert "secrets" not in rule["resources"]
    [cluster] = of_kind(own, "ClusterRole")
    assert len(cluster["rules"]) == 2, "of the whole cluster, reviews alone"
    operator, page = (
        next(d for d in of_kind(objects, "Deployment") if d["metadata"]["name"].endswith(end))
        for end in ("-operator", "-dashboard")
    )
    labels = page["spec"]["template"]["metadata"]["labels"]
    assert not operator["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_with_namespaces_there_are_no_rights_in_the_whole_cluster() -> None:
    objects = rendered("--set=namespaces={team-a,team-b}")
    assert of_kind(objects, "ClusterRoleBinding") == []
    roles = {
        (each["metadata"]["namespace"], each["metadata"]["name"])
        for each in of_kind(objects, "Role")
    }
    assert roles == {
        ("hyperband-system", "hyperband-operator-lease"),
        ("team-a", "hyperband-operator"),
        ("team-b", "hyperband-operator"),
    }


def test_what_is_granted_is_named_verb_by_verb() -> None:
    for values in SETS:
        objects = rendered(f"--values={values}")
        for role in [*of_kind(objects, "Role"), *of_kind(objects, "ClusterRole")]:
            for rule in role["rules"]:
                assert "*" not in (*rule["apiGroups"], *rule["resources"], *rule["verbs"])


def test_a_scrape_leaves_the_namespace_of_studies_alone() -> None:
    """Else dashboard and alerts would speak of the operator's."""
    [monitor] = of_kind(rendered("--set=serviceMonitor.enabled=true"), "ServiceMonitor")
    [endpoint] = monitor["spec"]["endpoints"]
    assert endpoint["honorLabels"] is True


def test_definitions_are_kept_unless_told_otherwise() -> None:
    for keep, wanted in (("true", "keep"), ("false", None)):
        definitions = of_kind(rendered(f"--set=crds.keep={keep}"), "CustomResourceDefinition")
        assert len(definitions) == 3
        for each in definitions:
            annotations = each["metadata"].get("annotations", {})
            assert annotations.get("helm.sh/resource-policy") == wanted
    assert of_kind(rendered("--set=crds.install=false"), "CustomResourceDefinition") == []


def test_the_definitions_are_those_of_the_crds_folder() -> None:
    by_name = {
        each["metadata"]["name"]: each for each in of_kind(rendered(), "CustomResourceDefinition")
    }
    for path in sorted((REPOSITORY / "crds").glob("*.yaml")):
        body = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert by_name.pop(body["metadata"]["name"])["spec"] == body["spec"]
    assert by_name == {}


RECREATE = {"type": "Recreate"}
ONE_BY_ONE = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}


def test_no_study_may_run_beside_the_operator_wherever_that_is() -> None:
    text = helm.template("--namespace=ops")
    assert "request.namespace != 'ops'" in text
    assert "hyperband-system" not in text


@pytest.mark.parametrize(
    ("values", "strategy", "probe"),
    [
        ("replicas=1", RECREATE, "/readyz"),
        ("replicas=2", ONE_BY_ONE, "/readyz?exclude=leader"),
        ("replicas=2,namespaces={a}", ONE_BY_ONE, "/readyz?exclude=leader"),
        ("replicas=2,namespaces={a,b}", ONE_BY_ONE, "/readyz"),
    ],
)
def test_pods_are_replaced_so_that_no_rollout_waits_for_a_lease(
    values: str, strategy: dict[str, Any], probe: str
) -> None:
    """With several replicas all are ready but one leads, or no rollout would ever be complete.

    Those that share namespaces are ready too when they have found nothing to take.
    """
    [deployment] = of_kind(rendered(f"--set={values}"), "Deployment")
    assert deployment["spec"]["strategy"] == strategy
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    assert container["readinessProbe"]["httpGet"]["path"] == probe
