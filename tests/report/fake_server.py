"""An API server on the loopback that takes pod patches, or answers as it is told."""

import json
import ssl
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass
class Answer:
    """How to answer one request; `until` is waited for first."""

    status: int = 200
    body: str = "{}"
    headers: dict[str, str] = field(default_factory=dict)
    until: threading.Event | None = None


@dataclass
class Request:
    """What was sent."""

    path: str
    headers: dict[str, str]
    body: Any

    @property
    def reports(self) -> Any:
        """The annotation's list."""
        return json.loads(self.body["metadata"]["annotations"]["hyperband.dev/metrics"])


class FakeServer:
    """Answers from `answers`, then with 200 and the pod; `requests` are those received."""

    def __init__(self, port: int, mount: Path) -> None:
        self.port = port
        self.mount = mount  # what the operator mounts: token, ca.crt, namespace
        self.answers: deque[Answer] = deque()
        self.requests: list[Request] = []
        self.annotation = ""  # the pod's, as the last patch that was taken has left it
        self.received = threading.Condition()

    @property
    def environment(self) -> dict[str, str]:
        """What a trial's container finds: rungs at 1, 3 and 9 epochs, this one trains up to 3."""
        return {
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": str(self.port),
            "HYPERBAND_TOKEN_MOUNT": str(self.mount),
            "HYPERBAND_POD_NAME": "digits-0-0",
            "HYPERBAND_POD_NAMESPACE": "team",
            "HYPERBAND_RESOURCE_NAME": "epochs",
            "HYPERBAND_METRIC": "val_loss",
            "HYPERBAND_RESOURCE_FROM": "0",
            "HYPERBAND_RESOURCE_TO": "3",
            "HYPERBAND_RUNGS": "[1, 3, 9]",
        }

    def take(self, request: Request) -> Answer:
        """Records a request; what to answer."""
        with self.received:
            self.requests.append(request)
            answer = self.answers.popleft() if self.answers else self._merge(request)
            self.received.notify_all()
        if answer.until is not None:
            answer.until.wait(30)
        return answer

    def _merge(self, request: Request) -> Answer:
        changes = request.body.get("metadata", {}).get("annotations", {})
        self.annotation = changes.get("hyperband.dev/metrics", self.annotation)
        annotations = {"hyperband.dev/metrics": self.annotation} if self.annotation else {}
        return Answer(body=json.dumps({"metadata": {"annotations": annotations}}))

    @property
    def reports(self) -> Any:
        """The pod's annotation as a list."""
        return json.loads(self.annotation or "[]")

    def wait_until(self, holds: Callable[[], bool]) -> None:
        """Waits until a request makes something true."""
        with self.received:
            assert self.received.wait_for(holds, 20)

    def wait_for(self, count: int) -> None:
        """Waits until so many requests have come."""
        with self.received:
            assert self.received.wait_for(lambda: len(self.requests) >= count, 20)


@contextmanager
def serve(certificate: Path, mount: Path) -> Iterator[FakeServer]:
    """Runs a server, with a token mount of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_PATCH(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answer = fake.take(Request(self.path, dict(self.headers), json.loads(body)))
            try:
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.body.encode())
            except OSError:
                pass  # the client gave up

        def log_message(self, *_: object) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "tls.crt", certificate / "tls.key")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True)
    fake = FakeServer(server.server_address[1], mount)
    (mount / "ca.crt").write_bytes((certificate / "tls.crt").read_bytes())
    (mount / "token").write_text("first-token\n")
    (mount / "namespace").write_text("team")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
