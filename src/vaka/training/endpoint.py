"""GET /report and GET /metrics, from a thread of the trainer."""

import socket
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import msgspec

from vaka.training.report import Reporter


class Endpoint(ThreadingHTTPServer):
    """Serves as soon as it is made. `host` empty means every address, IPv4 and IPv6."""

    daemon_threads = True

    def __init__(self, host: str, port: int, routes: dict[str, Callable[[], tuple[str, bytes]]]) -> None:
        super().__init__((host, port), _Handler, bind_and_activate=False)
        self.routes = routes
        self.socket.close()
        self.socket = _listen(host, port)
        self.port: int = self.socket.getsockname()[1]
        Thread(target=self.serve_forever, name="endpoint", daemon=True).start()


def _listen(host: str, port: int) -> socket.socket:
    if not host and socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server((host, port))


class _Handler(BaseHTTPRequestHandler):
    server: Endpoint
    timeout = 5

    def do_GET(self) -> None:
        route = self.server.routes.get(self.path.partition("?")[0])
        if route is None:
            self.send_error(404, f"known are {', '.join(self.server.routes)}")
            return
        kind, body = route()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Probes and scrapes are not worth a line."""


def serve(reporter: Reporter, *, host: str, port: int, labels: dict[str, str]) -> Endpoint:
    """Answer with the reporter's newest report, as JSON and as Prometheus metrics."""

    def report() -> tuple[str, bytes]:
        return "application/json", msgspec.json.encode(reporter.report)

    def metrics() -> tuple[str, bytes]:
        from vaka.training.metrics import render  # costs time that the first report cannot wait for

        return render(reporter, labels)

    return Endpoint(host, port, {"/report": report, "/metrics": metrics})
