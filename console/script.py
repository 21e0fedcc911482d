"""`accredit script`: what a shop puts into its pages."""

from __future__ import annotations

from html import escape

import click


@click.command()
@click.argument("tracking", metavar="URL")
@click.argument("advertiser", metavar="ADVERTISER")
def script(tracking: str, advertiser: str) -> None:
    """The script tag for an advertiser's shop, with its integrity hash, and the CSP lines that it needs.

    \b
        accredit script https://track.example.com shop
    """
    from ingest.script import script as served

    origin = tracking.rstrip("/")
    _, _, path, integrity = served()
    click.echo(
        f'<script src="{escape(origin)}{path}"\n'
        f'        integrity="{integrity}" crossorigin="anonymous"\n'
        f'        data-advertiser="{escape(advertiser)}" defer></script>\n\n'
        f"Content-Security-Policy: script-src {origin}; connect-src {origin}; img-src {origin}"
    )
