"""One merge patch of the pod's own annotation, over HTTPS with the token mounted for it."""

import http.client
import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hyperband.report._environment import (
    ENV_POD_NAME,
    ENV_POD_NAMESPACE,
    METRICS_ANNOTATION,
    REPORTER_SERVICE_ACCOUNT,
)
from hyperband.report._outbox import Delivered, Failed, Outcome, Refused

TIMEOUT = 10.0  # seconds, for connecting and for each read
_MAX_RESPONSE = 1024 * 1024  # bytes
# The answer to a patch is the whole pod; its metadata are enough.
_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1, application/json"
_POLICY = "ValidatingAdmissionPolicy"  # its refusal, also a 403, is about the report itself
# Besides 5xx. Among them 401 and 403: an API server that has just started answers so until it has
# read accounts and roles, and a role that is missing may yet be given.
_RETRIED = (401, 403, 408, 409, 429)


class PodAnnotation:
    """Writes the annotation.

    Args:
        environment: has the API server's address and the pod's name and namespace.
        mount: the folder with token, ca.crt and namespace.
    """

    def __init__(
        self, environment: Mapping[str, str], mount: Path, timeout: float = TIMEOUT
    ) -> None:
        self._mount = mount
        self._timeout = timeout
        self._host = environment.get("KUBERNETES_SERVICE_HOST", "kubernetes.default.svc")
        self._port = int(environment.get("KUBERNETES_SERVICE_PORT", "443"))
        self._pod = environment[ENV_POD_NAME]
        self._namespace = (
            environment.get(ENV_POD_NAMESPACE) or (mount / "namespace").read_text().strip()
        )

    def __call__(self, text: str) -> Outcome:
        """Replaces the annotation by `text`. Repeating it does no harm."""
        answer = self._patch({"metadata": {"annotations": {METRICS_ANNOTATION: text}}})
        return Delivered() if isinstance(answer, bytes) else answer

    def current(self) -> str | Failed | Refused:
        """The annotation as it is, "" if there is none.

        By a patch that changes nothing, which is answered with the pod: the reporter may patch its
        pod, not get it.
        """
        answer = self._patch({})
        if not isinstance(answer, bytes):
            return answer
        try:
            annotations = json.loads(answer)["metadata"].get("annotations") or {}
            return str(annotations.get(METRICS_ANNOTATION, ""))
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            return Refused(f"{self._host}:{self._port} answers with no pod: {error!r:.200}")

    def _patch(self, change: Mapping[str, Any]) -> bytes | Failed | Refused:
        """Merges a change into the pod; the pod's metadata as JSON."""
        try:
            status, headers, body = self._request(json.dumps(change))
        except (OSError, http.client.HTTPException) as error:
            return Failed(f"{self._host}:{self._port}: {error or type(error).__name__}")
        if 200 <= status < 300:
            return body
        problem = f"{status} {_message(body)}".rstrip()
        said = problem + self._mend(status, problem)
        if (status in _RETRIED or status >= 500) and _POLICY not in problem:
            return Failed(said, _seconds(headers.get("Retry-After")))
        return Refused(said)

    def _request(self, body: str) -> tuple[int, http.client.HTTPMessage, bytes]:
        # Token and authority are read for each request, as the kubelet renews them. So is the
        # connection: 10,000 idle ones would cost the API server more than a handshake now and then.
        token = (self._mount / "token").read_text().strip()
        authority = ssl.create_default_context(cafile=str(self._mount / "ca.crt"))
        connection = http.client.HTTPSConnection(
            self._host, self._port, timeout=self._timeout, context=authority
        )
        try:
            connection.request(
                "PATCH",
                f"/api/v1/namespaces/{quote(self._namespace)}/pods/{quote(self._pod)}"
                f"?fieldManager={REPORTER_SERVICE_ACCOUNT}",
                body=body,
                headers={
                    "Authorization": f"Bearer {token}",
                    "Content-Type": "application/merge-patch+json",
                    "Accept": _METADATA,
                    "User-Agent": REPORTER_SERVICE_ACCOUNT,
                },
            )
            response = connection.getresponse()
            return response.status, response.headers, response.read(_MAX_RESPONSE)
        finally:
            connection.close()

    def _mend(self, status: int, problem: str) -> str:
        """What to do about it, where the server's own message does not say."""
        if status == 401:
            return f": the token in {self._mount} is not valid"
        if status == 403 and _POLICY not in problem:
            return (
                ": the pod's service account may not patch pods. RoleBinding "
                f"{REPORTER_SERVICE_ACCOUNT} is missing in namespace {self._namespace}: "
                f"kubectl apply -n {self._namespace} -f manifests/namespace/reporter.yaml"
            )
        if status == 404:
            return f": pod {self._namespace}/{self._pod} is gone"
        if status in (413, 422) and _POLICY not in problem:
            return ": all annotations of a pod together may have 256 KiB; report fewer metrics"
        return ""


def _message(body: bytes) -> str:
    """The message of a Kubernetes Status, or the text itself."""
    text = body.decode(errors="replace")
    try:
        status = json.loads(text)
    except ValueError:
        return text[:200]
    return str(status.get("message", "")) if isinstance(status, dict) else text[:200]


def _seconds(retry_after: str | None) -> float | None:
    """Kubernetes gives seconds; a date, which proxies may give, is not worth the code."""
    return float(retry_after) if retry_after and retry_after.strip().isdigit() else None
