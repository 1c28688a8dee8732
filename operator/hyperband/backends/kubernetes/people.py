"""What all has in common that people ask a cluster by: how long they wait, and errors in words."""

from typing import Final

import msgspec

from hyperband.backends.kubernetes.api_errors import (
    ApiError,
    Forbidden,
    NotFound,
    Unauthorized,
    Unreachable,
)
from hyperband.backends.kubernetes.transport import Retry
from hyperband.core.errors import printable

FIELD_MANAGER: Final = "hyperband-cli"  # what people change is told apart from the operator's own
IMPATIENT: Final = Retry(attempts=3, total=10.0)  # a person waits


def is_missing_object(error: NotFound) -> bool:
    """Whether the server knows the kind, and lacks the object."""
    return bool(error.details.get("name"))


def told(error: Exception) -> str:
    """An error in words, with the mend."""
    return printable(_told(error))


def _told(error: Exception) -> str:
    if isinstance(error, Unreachable):
        mend = "is it up, and are --kubeconfig and --context the right ones?"
        return f"the cluster cannot be reached ({error}): {mend}"
    if isinstance(error, Unauthorized):
        return f"the cluster does not know you ({error.message}): log in anew"
    if isinstance(error, Forbidden):
        mend = "ask for the role edit (to look: view) in that namespace, or use another --context"
        return f"{error.message}: {mend}"
    if isinstance(error, NotFound) and not is_missing_object(error):
        return "the cluster has no HyperbandStudy: install crds/ and the operator, or use --context"
    if isinstance(error, ApiError):
        return f"the cluster refuses it: {error.message or error}"
    if isinstance(error, msgspec.MsgspecError):
        return f"the cluster's answer makes no sense ({error}): is it a Kubernetes API server?"
    return str(error)
