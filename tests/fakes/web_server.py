"""A real HTTPS server on loopback: the policy files of many domains, served well or badly, and posts taken.

    with WebServer(authority) as web:
        web.serve("example.org", POLICY)                     # https://mta-sts.example.org:<web.port>/.well-known/...
        web.serve("example.org", POLICY, names=("other.example",))   # with a certificate for another name
        web.serve("example.org", POLICY, age_days=30)        # expired
        web.serve("example.org", b"", status=301, headers={"Location": "https://..."})
        web.serve("example.org", POLICY, is_slow=True)       # says nothing until the end of the test
        web.asked                                            # [("mta-sts.example.org", "/.well-known/...")]
        web.take_posts("reports.example"), web.posted        # [(host, path, headers, body)]
        web.stop(), web.start()                              # an outage; same port

The certificate is chosen by SNI; a name that nobody serves gets a handshake failure.
"""

import ssl
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.fakes.authority import Authority
from tests.fakes.prepared import Port

POLICY_PATH = "/.well-known/mta-sts.txt"


class _Page:
    def __init__(self, body: bytes, status: int, headers: Mapping[str, str], is_slow: bool) -> None:
        self.body, self.status, self.headers, self.is_slow = body, status, headers, is_slow


class WebServer:
    """See above."""

    def __init__(self, authority: Authority) -> None:
        self._authority = authority
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._pages: dict[str, _Page] = {}
        self._port = Port()
        self.port = self._port.number
        self.asked: list[tuple[str, str]] = []
        self.posted: list[tuple[str, str, dict[str, str], bytes]] = []
        self.statuses: list[int] = []  # for posts to come, in turn; then 200
        self._released = threading.Event()
        self._server: ThreadingHTTPServer | None = None

    def __enter__(self) -> "WebServer":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._released.set()
        self.stop()
        self._port.free()

    def serve(
        self,
        domain: str,
        body: bytes,
        *,
        status: int = 200,
        kind: str = "text/plain",
        headers: Mapping[str, str] | None = None,
        names: tuple[str, ...] = (),
        age_days: int = 0,
        authority: Authority | None = None,
        is_slow: bool = False,
    ) -> None:
        host = f"mta-sts.{domain}"
        self._certify(host, names or (host,), age_days, authority or self._authority)
        self._pages[host] = _Page(body, status, {"Content-Type": kind, **(headers or {})}, is_slow)

    def take_posts(self, host: str) -> None:
        self._certify(host, (host,), 0, self._authority)

    def _certify(self, host: str, names: tuple[str, ...], age_days: int, authority: Authority) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*authority.issue(*names, age_days=age_days))
        self._contexts[host] = context

    def _choose(self, connection: Any, name: str | None, _: ssl.SSLContext) -> int | None:
        if name not in self._contexts:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        connection.context = self._contexts[name]
        return None

    def start(self) -> None:
        outer = self
        first = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        first.load_cert_chain(*self._authority.issue("first.example"))
        first.sni_callback = self._choose

        class Requests(BaseHTTPRequestHandler):
            def setup(self) -> None:
                self.request = first.wrap_socket(self.request, server_side=True)
                super().setup()

            def finish(self) -> None:
                super().finish()
                self.request.close()  # the server closes what it accepted, which wrap_socket has taken over

            def do_GET(self) -> None:
                outer._get(self)

            def do_POST(self) -> None:
                outer._post(self)

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            allow_reuse_address = allow_reuse_port = True

            def handle_error(self, *_: Any) -> None:
                pass  # a client that does not like our certificate

        self._server = Server(("127.0.0.1", self.port), Requests)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._thread.join(30)
            self._server.server_close()
            self._server = None

    def _get(self, request: BaseHTTPRequestHandler) -> None:
        host = request.headers["Host"].partition(":")[0]
        self.asked.append((host, request.path))
        page = self._pages.get(host)
        if page is None or request.path != POLICY_PATH:
            request.send_error(404)
            return
        if page.is_slow:
            self._released.wait(60)
        request.send_response(page.status)
        for name, value in page.headers.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(page.body)

    def _post(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        host = request.headers["Host"].partition(":")[0]
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.posted.append((host, request.path, headers, body))
        request.send_response(self.statuses.pop(0) if self.statuses else 200)
        request.send_header("Content-Length", "0")
        request.end_headers()
