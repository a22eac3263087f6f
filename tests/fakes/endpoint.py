"""A topic's address: a real HTTPS server on loopback that takes notifications, or does not.

with Endpoint(authority) as endpoint:
    endpoint.url                       # https://127.0.0.1:port/hook
    endpoint.fate = lambda post: 500   # or 200, "hang" (until the end), "close", "redirect"
    endpoint.taken                     # posts that were answered 2xx, in order
    endpoint.seen                      # all posts
    endpoint.stop(), endpoint.start()  # an outage; same port
"""

import json
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.fakes.authority import Authority
from tests.fakes.prepared import Port

Fate = int | str


@dataclass(frozen=True)
class Post:
    """One request. ``headers`` are in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["x-relay-notification-id"]

    @property
    def told(self) -> dict[str, Any]:
        """The notification."""
        told: dict[str, Any] = json.loads(self.body)
        return told

    @property
    def kind(self) -> str:
        return str(self.told.get("notificationType") or self.told.get("eventType"))

    @property
    def message_id(self) -> str:
        return str(self.told["mail"]["messageId"])


class Endpoint:
    """See above."""

    def __init__(self, authority: Authority, *, age_days: int = 0, name: str = "127.0.0.1") -> None:
        self.authority = authority
        self.seen: list[Post] = []
        self.taken: list[Post] = []
        self.fate: Callable[[Post], Fate] = lambda post: 200
        self.connections = 0
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(*authority.issue(name, age_days=age_days))
        self._port = Port()
        self.url = f"https://127.0.0.1:{self._port.number}/hook"
        self._released = threading.Event()
        self._changed = threading.Condition()
        self._server: ThreadingHTTPServer | None = None

    def __enter__(self) -> "Endpoint":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._released.set()
        self.stop()
        self._port.free()

    def wait_for(self, is_true: Callable[[], Any], what: str, timeout_s: float = 60.0) -> None:
        """Until it is true of what was taken and seen."""
        with self._changed:
            assert self._changed.wait_for(is_true, timeout_s), (what, [post.kind for post in self.taken])

    def start(self) -> None:
        outer = self

        class Requests(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                self.request.settimeout(60)
                self.request = outer._context.wrap_socket(self.request, server_side=True)
                outer.connections += 1
                super().setup()

            def finish(self) -> None:
                super().finish()
                self.request.close()  # the server closes what it accepted, which wrap_socket has taken over

            def do_POST(self) -> None:
                outer._post(self)

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            allow_reuse_address = allow_reuse_port = True
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_: Any) -> None:
                pass  # a client that does not like our certificate, or has gone

        self._server = Server(("127.0.0.1", self._port.number), Requests)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._thread.join(30)
            self._server.server_close()
            self._server = None

    def _post(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in request.headers.items()}
        post = Post(request.path, headers, body)
        with self._changed:
            self.seen.append(post)
            fate = self.fate(post)
            self._changed.notify_all()
        if fate == "hang":
            self._released.wait(120)
        if fate in ("hang", "close"):
            request.close_connection = True
            return
        status = 302 if fate == "redirect" else int(fate)
        if 200 <= status < 300:
            with self._changed:
                self.taken.append(post)
                self._changed.notify_all()
        request.send_response(status)
        if fate == "redirect":
            request.send_header("Location", self.url.replace("/hook", "/elsewhere"))
        request.send_header("Content-Length", "0")
        request.end_headers()
