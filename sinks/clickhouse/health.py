"""`/healthz`, `/readyz` and `/metrics` on a loopback port, in a thread of their own."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

JSON = "application/json"


class HealthServer:
    """Serves until closed. ``not_ready`` says why the process is not ready, or None when it is."""

    def __init__(self, host: str, port: int, registry: CollectorRegistry, not_ready: Callable[[], str | None]) -> None:
        """Port 0 takes a free one; see `port`. OSError when the port is taken."""

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/healthz":
                    self._answer(200, JSON, b'{"status":"ok"}')
                elif self.path == "/readyz":
                    reason = not_ready()
                    body = {"status": "ready"} if reason is None else {"status": "not ready", "reason": reason}
                    self._answer(200 if reason is None else 503, JSON, json.dumps(body).encode())
                elif self.path == "/metrics":
                    self._answer(200, CONTENT_TYPE_LATEST, generate_latest(registry))
                else:
                    self._answer(404, JSON, b'{"status":"not found; there are /healthz, /readyz and /metrics"}')

            def _answer(self, status: int, kind: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Probes are not worth a line each."""

        self._server = ThreadingHTTPServer((host, port), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, name="health", daemon=True).start()

    def close(self) -> None:
        """Stop serving and free the port."""
        self._server.shutdown()
        self._server.server_close()
