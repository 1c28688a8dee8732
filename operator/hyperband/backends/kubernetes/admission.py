"""What is asked of the API server before a study's first trial: may it report, does its pod pass?

A template that can never work is found here instead of by burning trials.
"""

from typing import Any

from hyperband.api import names
from hyperband.api.status import Blocked
from hyperband.api.study import StudyResource
from hyperband.backends.kubernetes.api_errors import AlreadyExists, ApiError, Forbidden
from hyperband.backends.kubernetes.client import Client
from hyperband.backends.kubernetes.cluster import Cluster
from hyperband.backends.kubernetes.objects import PODS, Kind
from hyperband.backends.kubernetes.render import render_pod
from hyperband.core.engine import Engine
from hyperband.core.errors import InvalidStudyError
from hyperband.core.records import Suggestion

# Of one namespace, as an operator for some namespaces has no rights beyond them.
ACCESS_REVIEWS = Kind("authorization.k8s.io", "v1", "localsubjectaccessreviews")

NOBODY = "00000000-0000-0000-0000-000000000000"  # owner of a pod that is only tried

# What the API server answers to an object that is wrong in itself, whoever sends it.
_WRONG_IN_ITSELF = (400, 422)


async def check(cluster: Cluster, study: StudyResource, engine: Engine) -> Blocked | None:
    """Whether the pod of a trial could ever work.

    Raises:
        InvalidStudyError: the template is wrong in itself and never will be taken.
    """
    blocked = await _check_reporter(cluster.client, study)
    if blocked is not None:
        return blocked
    # Any configuration will do; the one that comes first may take a model some time.
    example = Suggestion(engine.searcher.draw(0), "Random")
    trial = engine.new_trial(0, engine.ladder.top, example)
    pod = render_pod(study, trial, NOBODY, engine.ladder, cluster.sidecar_image)
    return await _check_template(cluster.client, pod)


async def _check_reporter(client: Client, study: StudyResource) -> Blocked | None:
    """Whether the pods' service account may patch pods, which reporting needs."""
    if not study.reporting.needs_rights:
        return None
    account = study.template.spec.get("serviceAccountName") or names.REPORTER_SERVICE_ACCOUNT
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "LocalSubjectAccessReview",
        "metadata": {"namespace": study.namespace},
        "spec": {
            "user": f"system:serviceaccount:{study.namespace}:{account}",
            "groups": [
                "system:serviceaccounts",
                f"system:serviceaccounts:{study.namespace}",
                "system:authenticated",
            ],
            "resourceAttributes": {
                "namespace": study.namespace,
                "verb": "patch",
                "resource": "pods",
            },
        },
    }
    answer = await client.create_review(ACCESS_REVIEWS, review, study.namespace)
    if answer.get("status", {}).get("allowed"):
        return None
    mend = (
        f"kubectl apply -n {study.namespace} -f manifests/namespace/reporter.yaml"
        if account == names.REPORTER_SERVICE_ACCOUNT
        else "leave out spec.trialTemplate.spec.serviceAccountName, or bind the ClusterRole "
        f"hyperband-reporter to '{account}', whose pods may then patch any pod of the namespace"
    )
    return Blocked(
        "ReporterNotPermitted",
        f"service account '{account}' in namespace '{study.namespace}' may not patch pods, so no "
        f"trial could report: {mend}",
    )


async def _check_template(client: Client, pod: dict[str, Any]) -> Blocked | None:
    """Whether the API server would take a trial's pod, by a dry run."""
    namespace = pod["metadata"]["namespace"]
    try:
        await client.create(PODS, namespace, pod, dict, dry_run=True, field_validation="Strict")
    except AlreadyExists:  # comes after all checks: whose pod it is shows when it is made
        return None
    except Forbidden as error:
        return Blocked("TemplateForbidden", f"a trial's pod is not allowed: {_mend(error)}")
    except ApiError as error:
        if "does not support dry run" in error.message:
            return None  # a webhook's word about itself
        if "admission webhook" in error.message:
            return Blocked("TemplateForbidden", f"a trial's pod is not allowed: {error.message}")
        if error.status in _WRONG_IN_ITSELF:
            raise InvalidStudyError("spec.trialTemplate", error.message) from error
        # An overloaded server, say, tells nothing about the template.
        return Blocked("TemplateUnchecked", f"a trial's pod could not be tried: {error.message}")
    return None


def _mend(error: ApiError) -> str:
    """The server's words and, where they only say what is missing, what would help."""
    message = error.message
    if "serviceaccount" in message and "not found" in message:
        return f"{message}; create it, or apply manifests/namespace/reporter.yaml there"
    if "violates PodSecurity" in message:
        return f"{message}; set the securityContext in spec.trialTemplate.spec accordingly"
    if "PriorityClass" in message:
        return f"{message}; create it, or correct spec.trialTemplate.spec.priorityClassName"
    if "exceeded quota" in message:
        return f"{message}; it is tried again until the quota has room"
    return message
