"""`accredit keys`: API keys of partners, advertisers and the operator, and how advertisers' postbacks prove themselves.

The keys that sign click ids are another thing: `accredit click-keys`, ``console.keys``.
"""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from console.errors import ConsoleError
from console.options import data_option, format_option
from schemas.times import format_time, parse_duration, parse_time

if TYPE_CHECKING:
    from ingest.access.book import AccessBook, ApiKey, PostbackAuth

ALL_SCOPES = ("events:write", "adjustments:write", "catalog:read", "catalog:write")
MAY_HAVE = {
    "operator": ALL_SCOPES,
    "advertiser": ("events:write", "adjustments:write"),
    "partner": ("events:write",),
}
"""The catalog holds everybody's terms: it is the operator's alone."""
TOKEN_LEAST = 16
FOLLOWED = "Running ingest processes follow within a second or two."


@click.group()
def keys() -> None:
    """API keys, and how advertisers' postbacks prove themselves.

    \b
        accredit keys create --for partner:anna
        accredit keys create --for advertiser:shop --expires 365d --note "their ERP"
        accredit keys create --for operator --scope catalog:read --scope catalog:write
        accredit keys list
        accredit keys rotate 3f9a0c51e277 --overlap 14d
        accredit keys revoke 3f9a0c51e277
        accredit keys postback shop --token --ip 203.0.113.0/24

    Kept in access.json in the data folder, secrets as hashes: a key is shown once, when it is made. As soon as there
    is one key, or with `access: {production: true}` in ingest.yaml, bulk events and the catalog are taken with a key
    only. The keys that sign click ids are another thing: `accredit click-keys`.
    """


def expires_option(command: Any) -> Any:
    return click.option("--expires", metavar="WHEN", help="After a duration like 90d, or at a time. [default: never]")(
        command
    )


@keys.command()
@data_option
@click.option("--for", "whose", required=True, metavar="WHOSE", help="partner:ID, advertiser:ID or operator.")
@click.option("--scope", "scopes", multiple=True, type=click.Choice(ALL_SCOPES), help="[default: all it may have]")
@expires_option
@click.option("--note", help="What it is for, shown in the list.")
def create(data: Path | None, whose: str, scopes: tuple[str, ...], expires: str | None, note: str | None) -> None:
    """Make a key, and show it this once.

    A partner's key sends its own touches, an advertiser's its own conversions and adjustments. The operator's sends
    anything, and reads and writes the catalog as its scopes say; name them.
    """
    from ingest.access.book import ApiKey
    from ingest.access.secrets import new_key

    kind, tenant = tenant_of(whose)
    may = MAY_HAVE[kind]
    if kind == "operator" and not scopes:
        raise click.BadParameter(f"name what the operator's key may do: {', '.join(may)}", param_hint="--scope")
    if beyond := [scope for scope in scopes if scope not in may]:
        raise click.BadParameter(f"a {kind}'s key cannot have {', '.join(beyond)}", param_hint="--scope")
    fresh, now = new_key(), now_ms()
    record = ApiKey.model_validate(
        {
            "id": fresh.id,
            "created_at": now,
            "expires_at": moment(expires, now),
            "kind": kind,
            "tenant": tenant,
            "scopes": scopes or may,
            "sha256": fresh.sha256,
            "note": note,
        }
    )
    with edited(data) as held:
        held[0] = held[0].model_copy(update={"keys": (*held[0].keys, record)})
    show_secret(fresh.text, f"key {fresh.id} of {record.sender.name}")


@keys.command("list")
@data_option
@format_option("table", "json", "csv")
def list_(data: Path | None, form: str) -> None:
    """All keys, tokens and signing secrets, without what is secret of them."""
    from console.tables import print_rows

    columns = ("id", "what", "whose", "scopes", "state", "created", "expires", "note")
    print_rows(columns, list(rows(read(data), now_ms())), form)


@keys.command()
@data_option
@click.argument("key_id")
@click.option("--overlap", default="7d", show_default=True, help="How long the old key stays valid; 0s: not at all.")
def rotate(data: Path | None, key_id: str, overlap: str) -> None:
    """Make a successor of a key, with the same rights; the old one ends after the overlap."""
    from ingest.access.secrets import new_key

    fresh, now = new_key(), now_ms()
    until = now + duration(overlap, "--overlap")
    with edited(data) as held:
        old = find_key(held[0], key_id)
        if old.state(now) != "live":
            raise ConsoleError(f"key {key_id} is {old.state(now)}; make a new one with `accredit keys create`.")
        ends = until if old.expires_at is None else min(until, old.expires_at)
        life = None if old.expires_at is None else now + old.expires_at - old.created_at
        update = {"id": fresh.id, "sha256": fresh.sha256, "created_at": now, "expires_at": life}
        successor = old.model_copy(update=update)
        kept = [key.model_copy(update={"expires_at": ends}) if key is old else key for key in held[0].keys]
        held[0] = held[0].model_copy(update={"keys": (*kept, successor)})
    show_secret(fresh.text, f"key {fresh.id} of {successor.sender.name}")
    click.echo(f"Key {key_id} is valid until {format_time(ends)}.")


@keys.command()
@data_option
@click.argument("key_id")
def revoke(data: Path | None, key_id: str) -> None:
    """End a key, a postback token or a signing secret now."""
    now = now_ms()
    with edited(data) as held:
        advertisers = dict(held[0].advertisers)
        for name, auth in advertisers.items():
            if any(each.id == key_id for each in (*auth.tokens, *auth.hmac)):
                # ended, not taken out: without any left, its postbacks would have nothing to prove
                ended = {
                    field: tuple(
                        each.model_copy(update={"expires_at": now}) if each.id == key_id else each
                        for each in getattr(auth, field)
                    )
                    for field in ("tokens", "hmac")
                }
                advertisers[name] = auth.model_copy(update=ended)
                held[0] = held[0].model_copy(update={"advertisers": advertisers})
                break
        else:
            old = find_key(held[0], key_id)
            kept = [key.model_copy(update={"revoked_at": now}) if key is old else key for key in held[0].keys]
            held[0] = held[0].model_copy(update={"keys": tuple(kept)})
    click.echo(f"{key_id} is revoked. {FOLLOWED}")


@keys.command()
@data_option
@click.argument("advertiser")
@click.option("--token", "make_token", is_flag=True, help="Make a token; show it this once.")
@click.option("--token-from", type=click.File("r"), metavar="FILE", help="Take the token it has already; - is stdin.")
@click.option("--hmac", "make_hmac", is_flag=True, help="Make a secret that signs postbacks; show it this once.")
@click.option("--ip", "addresses", multiple=True, metavar="NETWORK", help="Where its postbacks may come from.")
@click.option("--forget-ip", "forgotten", multiple=True, metavar="NETWORK", help="Take one out of the list.")
@click.option("--pixel/--no-pixel", default=None, help="Take its conversions from visitors' browsers, or never.")
@click.option("--open", "opened", is_flag=True, help="Ask nothing of its postbacks any more.")
@expires_option
def postback(
    data: Path | None,
    advertiser: str,
    make_token: bool,
    token_from: Any,
    make_hmac: bool,
    addresses: tuple[str, ...],
    forgotten: tuple[str, ...],
    pixel: bool | None,
    opened: bool,
    expires: str | None,
) -> None:
    """What an advertiser's postbacks have to prove. Without options: show it.

    \b
        accredit keys postback shop --token                  a token, as X-Accredit-Token or token=
        accredit keys postback shop --token-from tune.txt    the security_token that it uses already
        accredit keys postback shop --hmac                   signed with a time (docs/access.md)
        accredit keys postback shop --ip 203.0.113.7 --ip 2001:db8::/48
        accredit keys postback shop --pixel                  its image pixels, iframes and script too

    Tokens, signatures and addresses: all kinds that are set up must hold; of several tokens any one does, so that a
    second one can be handed out before the first is revoked.
    """
    from ingest.access.book import PostbackAuth, SigningSecret, Token
    from ingest.access.secrets import ID_BYTES, digest, new_token

    now = now_ms()
    ends = moment(expires, now)
    life = {"created_at": now, "expires_at": ends}
    shown: list[tuple[str, str]] = []
    with edited(data) as held:
        auth = PostbackAuth() if opened else held[0].advertisers.get(advertiser, PostbackAuth())
        tokens, signing, networks = list(auth.tokens), list(auth.hmac), list(auth.addresses)
        if make_token:
            fresh = new_token()
            tokens.append(Token(id=fresh.id, sha256=fresh.sha256, **life))
            shown.append((fresh.text, f"token {fresh.id} of {advertiser}"))
        if token_from is not None:
            text = token_from.read().strip()
            if len(text) < TOKEN_LEAST:
                raise ConsoleError(f"that token has {len(text)} characters; {TOKEN_LEAST} at least, or it is guessed.")
            tokens.append(Token(id=secrets.token_hex(ID_BYTES), sha256=digest(text), **life))
        if make_hmac:
            secret, secret_id = secrets.token_hex(32), secrets.token_hex(ID_BYTES)
            signing.append(SigningSecret(id=secret_id, secret=secret, **life))
            shown.append((secret, f"signing secret {secret_id} of {advertiser}, in hex"))
        for text in addresses:
            if (network := to_network(text)) not in networks:
                networks.append(network)
        for text in forgotten:
            if (network := to_network(text)) not in networks:
                raise ConsoleError(f"{text} is not in {advertiser}'s list.")
            networks.remove(network)
        changed = PostbackAuth(
            tokens=tuple(tokens),
            hmac=tuple(signing),
            addresses=tuple(networks),
            pixel=auth.pixel if pixel is None else pixel,
        )
        if changed != held[0].advertisers.get(advertiser, PostbackAuth()):
            held[0] = held[0].model_copy(update={"advertisers": {**held[0].advertisers, advertiser: changed}})
    for text, what in shown:
        show_secret(text, what)
    say_auth(advertiser, changed, now)


def say_auth(advertiser: str, auth: PostbackAuth, now: int) -> None:
    """What is asked of an advertiser's postbacks, in words."""
    live = {
        "a token": (len(auth.tokens), sum(each.live(now) for each in auth.tokens)),
        "a signature": (len(auth.hmac), sum(each.live(now) for each in auth.hmac)),
    }
    asked = [f"{what} ({alive} live)" for what, (there, alive) in live.items() if there]
    if auth.addresses:
        asked.append("an address in " + ", ".join(map(str, auth.addresses)))
    proof = " and ".join(asked) or "nothing (in production they are refused)"
    browsers = {True: "taken", False: "refused", None: "taken only while nothing is asked, and not in production"}
    click.echo(f"Postbacks of {advertiser} have to bring: {proof}. From browsers: {browsers[auth.pixel]}.")


def rows(book: AccessBook, now: int) -> Iterator[tuple[object, ...]]:
    def times(created_at: int, expires_at: int | None) -> tuple[str, str]:
        return format_time(created_at), "" if expires_at is None else format_time(expires_at)

    for key in book.keys:
        created, expires = times(key.created_at, key.expires_at)
        scopes = " ".join(sorted(key.scopes))
        yield key.id, "key", key.sender.name, scopes, key.state(now), created, expires, key.note or ""
    for name, auth in sorted(book.advertisers.items()):
        for what, each in [*(("token", t) for t in auth.tokens), *(("signing secret", s) for s in auth.hmac)]:
            created, expires = times(each.created_at, each.expires_at)
            state = "live" if each.live(now) else "expired"
            yield each.id, what, f"advertiser:{name}", "postback", state, created, expires, ""
        for network in auth.addresses:
            yield str(network), "address", f"advertiser:{name}", "postback", "live", "", "", ""
        if auth.pixel is not None:
            yield "", "pixel", f"advertiser:{name}", "pixel", "taken" if auth.pixel else "refused", "", "", ""


def path_of(data: Path | None) -> Path:
    """Where the installation keeps its keys: in the data folder, or where its ingest.yaml says."""
    from console.settings import read_settings
    from ingest.config import read_config

    folder = data or read_settings().data
    beside = folder / "ingest.yaml"
    return read_config(beside if beside.exists() else None).access.path(folder)


def read(data: Path | None) -> AccessBook:
    from ingest.access.book import read_book

    return read_book(path_of(data))


@contextmanager
def edited(data: Path | None) -> Iterator[list[AccessBook]]:
    from ingest.access.book import editing

    with editing(path_of(data)) as held:
        yield held


def find_key(book: AccessBook, key_id: str) -> ApiKey:
    """The key's record; ConsoleError if there is none."""
    for key in book.keys:
        if key.id == key_id:
            return key
    raise ConsoleError(f"there is no key {key_id[:40]!r}; `accredit keys list` shows the ids.")


def tenant_of(whose: str) -> tuple[str, str | None]:
    """``partner:anna`` as kind and id."""
    kind, colon, tenant = whose.partition(":")
    if kind == "operator" and not colon:
        return kind, None
    if kind in ("partner", "advertiser") and tenant:
        return kind, tenant
    raise click.BadParameter(f"{whose!r} is none of partner:ID, advertiser:ID, operator", param_hint="--for")


def to_network(text: str) -> Any:
    try:
        return ip_network(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--ip") from None


def moment(text: str | None, now: int) -> int | None:
    """A duration from now, or a time; milliseconds."""
    if text is None:
        return None
    try:
        return now + parse_duration(text)
    except ValueError:
        pass
    try:
        at = parse_time(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no duration like 90d and no time", param_hint="--expires") from None
    if at <= now:
        raise click.BadParameter(f"{text} is over", param_hint="--expires")
    return at


def duration(text: str, option: str) -> int:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from None


def show_secret(text: str, what: str) -> None:
    """The secret on stdout, alone on its line, so that it can be piped; about it on stderr."""
    click.echo(f"The {what}; it is shown this once. {FOLLOWED}", err=True)
    click.echo(text)
    sys.stdout.flush()


def now_ms() -> int:
    return time.time_ns() // 1_000_000
