"""A publisher's blog and a shop on local names of their own: what a browser needs to go from one to the other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from ingest.script import script

SHOP_SCRIPT = """
document.getElementById("buy").addEventListener("click", function (event) {
  accredit.convert({ order_id: event.target.dataset.order, amount: "50.00", customer: "vera@mail.example" });
  document.title = "bought";
});
"""
"""The shop's own script: an order without another page."""


class Site:
    """``blog.localhost`` and ``shop.localhost`` on one port; the tracking domain is ``track.localhost``.

    Names under localhost are sites of their own to a browser, and secure enough for Secure cookies without TLS.
    """

    def __init__(self, port: int, tracking_port: int) -> None:
        self.tracking = f"http://track.localhost:{tracking_port}"
        self.blog = f"http://blog.localhost:{port}"
        self.shop = f"http://shop.localhost:{port}"
        self.policy = (
            f"default-src 'none'; script-src 'self' {self.tracking}; connect-src {self.tracking}; "
            f"img-src {self.tracking}; frame-src {self.tracking}"
        )

    def page(self, url: str) -> tuple[str, str] | None:
        """Content type and text of a page."""
        path, order = urlsplit(url).path, urlsplit(url).query.partition("order=")[2].partition("&")[0]
        if path == "/post":
            return "text/html", f'<title>post</title><a id="go" href="{self.tracking}/c/lamps?partner=blog">Lamps</a>'
        if path == "/lamps":
            bought = (
                f'<button id="buy" data-order="{order}">Buy</button><a id="pay" href="/thanks?order={order}">Pay</a>'
            )
            return "text/html", f"<title>lamps</title>{self.tag()}<script src=/shop.js defer></script>{bought}"
        if path == "/thanks":
            tag = self.tag(f'data-order-id="{order}" data-amount="50.00" data-currency="EUR"')
            return "text/html", f"<title>thanks</title>{tag}"
        if path == "/pixel":
            query = f"advertiser_id=shop&order_id={order}&amount=50.00"
            return "text/html", f'<title>pixel</title><img src="{self.tracking}/px.gif?{query}">'
        if path == "/shop.js":
            return "text/javascript", SHOP_SCRIPT
        return None

    def tag(self, attributes: str = "") -> str:
        """The script as `accredit script` prints it."""
        _, _, path, integrity = script()
        return (
            f'<script src="{self.tracking}{path}" integrity="{integrity}" crossorigin="anonymous" '
            f'data-advertiser="shop" {attributes} defer></script>'
        )


@contextmanager
def site(tracking_port: int) -> Iterator[Site]:
    """Both sites, served while the context lasts."""
    sites: list[Site] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = sites[0].page(self.path)
            self.send_response(404 if found is None else 200)
            kind, text = found or ("text/plain", "")
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(text)))
            if not (self.headers["host"] or "").startswith("blog."):
                self.send_header("content-security-policy", sites[0].policy)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None:
            """Not on the test's standard error."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    sites.append(Site(server.server_port, tracking_port))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield sites[0]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
