"""An attacker with a token of somebody's, against the real API server."""

import base64
import http.client
import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import yaml

T = TypeVar("T")

MERGE: Final = "application/merge-patch+json"
JSON: Final = "application/json"
MAX_BODY: Final = 3 * 2**20  # of a request, for the server
PATIENCE: Final = 60.0  # until RBAC and policies that were just written are known everywhere


@dataclass(frozen=True)
class Answer:
    """What the server says."""

    status: int
    body: str

    @property
    def message(self) -> str:
        try:
            said = json.loads(self.body)
        except ValueError:
            return self.body
        return str(said.get("message", "")) if isinstance(said, dict) else self.body

    @property
    def refused(self) -> bool:
        return self.status in (401, 403, 413, 422)


class Attacker:
    """Sends requests with one token.

    Args:
        kubeconfig: of the cluster's owner, for the server's address and authority alone.
    """

    def __init__(self, kubeconfig: Path, token: str) -> None:
        cluster = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]
        self._url: str = cluster["server"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self._tls = ssl.create_default_context(cadata=authority)
        self.token = token

    def ask(
        self, method: str, path: str, body: Any = None, kind: str = JSON, accept: str = JSON
    ) -> Answer:
        """One request."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": kind, "Accept": accept}
        request = urllib.request.Request(self._url + path, data, headers, method=method)
        try:
            return self._send(request)
        except (OSError, http.client.HTTPException) as error:
            if data is None or len(data) <= MAX_BODY:
                raise
            # While we are still sending, or afterwards: buffers on the way take some megabytes.
            return Answer(413, f"hangs up: {error}")

    def _send(self, request: urllib.request.Request) -> Answer:
        try:
            with urllib.request.urlopen(request, timeout=30, context=self._tls) as answer:
                return Answer(answer.status, answer.read().decode())
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.read().decode(errors="replace"))

    def merge(self, path: str, change: Mapping[str, Any]) -> Answer:
        """A merge patch."""
        return self.ask("PATCH", path, change, MERGE)


def until(what: Callable[[], T], holds: Callable[[T], bool], patience: float = PATIENCE) -> T:
    """The first answer of which that holds, as roles and policies are known a moment later."""
    deadline = time.monotonic() + patience
    while not holds(answer := what()):
        assert time.monotonic() < deadline, answer
        time.sleep(0.2)
    return answer


def until_allowed(attacker: Attacker, path: str, change: Mapping[str, Any]) -> None:
    """What the reporter may do works: refusals that come now are not for want of its role."""
    until(lambda: attacker.merge(path, change), lambda answer: answer.status == 200)


def metrics(value: str) -> dict[str, Any]:
    """A patch of the annotation."""
    return {"metadata": {"annotations": {"hyperband.dev/metrics": value}}}
