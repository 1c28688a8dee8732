"""The admission policy that narrows a trial pod's token to one annotation of that very pod.

Tried against a real API server: another pod, an unbound token, other annotations, labels,
finalizers, owners, images and deadlines are all refused.
"""

from typing import Final

from hyperband.api import names
from hyperband.api.schema.definitions import Manifest
from hyperband.api.schema.policies import make_check, make_policy

_MEND: Final = f"the reporter may only write annotation {names.METRICS_ANNOTATION} of its own pod"

_VARIABLES: Final = {
    "key": f"'{names.METRICS_ANNOTATION}'",
    "a": "object.metadata.?annotations.orValue({})",
    "b": "oldObject.metadata.?annotations.orValue({})",
    "extra": "request.userInfo.?extra.orValue({})",
}

# The first check fails for all but updates, which alone have both an old and a new object: the
# others must not be evaluated without one.
_UPDATE: Final = "request.operation == 'UPDATE' && request.?subResource.orValue('') == ''"


def _update(expression: str, message: str) -> Manifest:
    return make_check(f"!({_UPDATE}) || ({expression})", message)


def reporter_policy() -> list[Manifest]:
    """For every service account of the reporter's name, in every namespace."""
    return make_policy(
        "hyperband-reporter",
        [
            {
                "apiGroups": [""],
                "apiVersions": ["v1"],
                "operations": ["CREATE", "UPDATE", "DELETE", "CONNECT"],
                "resources": ["pods", "pods/*"],
            }
        ],
        {
            "reporter": "request.userInfo.username.startsWith('system:serviceaccount:') && "
            f"request.userInfo.username.endsWith(':{names.REPORTER_SERVICE_ACCOUNT}')"
        },
        _VARIABLES,
        [
            make_check(_UPDATE, f"{_MEND}: this request is not an update of a pod"),
            _update(
                "variables.extra[?'authentication.kubernetes.io/pod-name'].orValue([]) == "
                "[oldObject.metadata.name]",
                f"{_MEND}: the token is not bound to this pod's name",
            ),
            _update(
                "variables.extra[?'authentication.kubernetes.io/pod-uid'].orValue([]) == "
                "[string(oldObject.metadata.uid)]",
                f"{_MEND}: the token is not bound to this pod's uid",
            ),
            _update(
                "variables.a.all(k, k == variables.key || (k in variables.b && "
                "variables.a[k] == variables.b[k])) && "
                "variables.b.all(k, k == variables.key || k in variables.a)",
                f"{_MEND}: another annotation would change",
            ),
            _update("object.spec == oldObject.spec", f"{_MEND}: the pod's spec would change"),
            _update(
                "object.metadata.?labels == oldObject.metadata.?labels && "
                "object.metadata.?finalizers == oldObject.metadata.?finalizers && "
                "object.metadata.?ownerReferences == oldObject.metadata.?ownerReferences",
                f"{_MEND}: labels, finalizers or owners would change",
            ),
            _update(
                f"variables.a[?variables.key].orValue('').size() <= {names.MAX_METRICS_BYTES}",
                f"annotation {names.METRICS_ANNOTATION} is longer than "
                f"{names.MAX_METRICS_BYTES} characters: report fewer points",
            ),
        ],
    )
