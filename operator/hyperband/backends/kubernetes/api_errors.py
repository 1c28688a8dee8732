"""What can go wrong between the operator and the API server, told apart by what to do about it."""

import json
from typing import Any

import msgspec


class KubernetesError(Exception):
    """Any failure of a request: refused (ApiError) or without an answer (Unreachable)."""


class Unreachable(KubernetesError):
    """No answer, or half of one. Whether a write was carried out is not known."""


class UnknownOutcome(KubernetesError):
    """A write of which it is not known whether it was carried out: read again before deciding."""


class NotLeading(KubernetesError):
    """A write that was not sent, because another operator process may lead by now."""


class ApiError(KubernetesError):
    """The server's refusal.

    Attributes:
        status: the HTTP status, or the code of an ERROR event in a watch.
        reason: Kubernetes' word for it, e.g. "AlreadyExists"; "" if something before it answered.
        retry_after: seconds that the server wants to be left alone, or None.
        details: the Status object's details, e.g. causes with their fields.
    """

    def __init__(
        self,
        status: int,
        reason: str = "",
        message: str = "",
        retry_after: float | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message
        self.retry_after = retry_after
        self.details = details or {}


class Unauthorized(ApiError):
    """401: the credentials are not accepted, and new ones were not either."""


class Forbidden(ApiError):
    """403: RBAC, admission, quota, a namespace that is being deleted: the message says which."""


class NotFound(ApiError):
    """404: no such object, or no such kind (a CRD is missing)."""


class AlreadyExists(ApiError):
    """409: an object of that name is there; whose it is must be read."""


class Conflict(ApiError):
    """409: the object has changed: read it and decide again."""


class Gone(ApiError):
    """410: this resourceVersion or continue token is forgotten: list again."""


class Invalid(ApiError):
    """422: the object breaks its schema or rules; trying again changes nothing."""


class TooManyRequests(ApiError):
    """429: nothing was done; try again after `retry_after`. Also an eviction that must wait."""


class ServerError(ApiError):
    """5xx: the server or something before it failed; a write may have been carried out."""


_BY_STATUS: dict[int, type[ApiError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    422: Invalid,
    429: TooManyRequests,
}


class Status(msgspec.Struct, frozen=True):
    """Kubernetes' error body; also the object of a watch's ERROR event."""

    code: int = 0
    reason: str = ""
    message: str = ""
    details: dict[str, Any] | None = None


_status = msgspec.json.Decoder(Status)


def error_from(body: bytes | msgspec.Raw, http_status: int, retry_after: str = "") -> ApiError:
    """The exception for an error's body; a body that is no Status (a proxy's) is quoted in it.

    Args:
        http_status: used where the body has no code of its own.
        retry_after: the header; only its seconds form is used, as by Kubernetes.
    """
    try:
        status = _status.decode(body)
    except msgspec.DecodeError:
        text = bytes(body)[:500].decode(errors="replace")
        status = Status(message=f"not from Kubernetes: {json.dumps(text)}")
    details = status.details or {}
    wait = retry_after if retry_after.isdigit() else details.get("retryAfterSeconds")
    code = http_status or status.code
    kind = _BY_STATUS.get(code, ServerError if code >= 500 else ApiError)
    if code == 409 and status.reason == "AlreadyExists":
        kind = AlreadyExists
    seconds = None if wait is None else float(wait)
    return kind(code, status.reason, status.message, seconds, details)
