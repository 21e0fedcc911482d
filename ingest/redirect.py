"""Tracking links: ``GET|HEAD /c/{offer_id}?partner=…``. The click is in Kafka before the visitor goes on."""

from __future__ import annotations

from http import HTTPStatus

from ingest.catalog_index import OfferEntry, unknown
from ingest.cookies import SessionCookie
from ingest.door import DoorContext, request_line
from ingest.http import Answer, HeaderList, Scope, address_of, host_of, problem, refusal_of, traceparent_of
from ingest.invalid import invalid_reason
from ingest.query import clean, parse_query, split_known
from schemas.errors import InvalidEvent
from schemas.ids import new_session_id, session_key
from schemas.records import Click

DOOR = "redirect"
PREFIX = "/c/"
ID_LIMIT = 256
SESSION_ENTROPY = 10
CLICK_ENTROPY = 6
REFERRER_POLICY = ("referrer-policy", "strict-origin-when-cross-origin")
NO_STORE = ("cache-control", "no-store")


class RedirectDoor:
    """Records a click and answers 302. HEAD goes to the same place without being counted."""

    methods = ("GET", "HEAD")

    def __init__(self, context: DoorContext) -> None:
        self._context = context
        self._cookie = SessionCookie(context.settings)
        self._aliases = context.settings.click_aliases

    async def __call__(self, scope: Scope) -> Answer:
        context = self._context
        now = context.now()
        given, others = split_known(parse_query(scope.query_string), self._aliases)
        fields = {name: text for name, value in given.items() if (text := clean(value)) is not None}
        counted = scope.method != "HEAD"
        try:
            entry = self._offer(scope.path[len(PREFIX) :], now)
            partner_id = partner_of(fields)
        except InvalidEvent as error:
            return await self._refuse(error, scope, now, counted)
        if not counted:
            return moved(self._location(entry, now, fields, None), [])
        headers = scope.headers
        sid = self._cookie.read(headers.get_all("cookie")) or new_session_id(now, context.entropy(SESSION_ENTROPY))
        advertiser_id = entry.offer.advertiser_id
        click_id = context.intake.keys.mint(session_key(sid), now, advertiser_id, context.entropy(CLICK_ENTROPY))
        agent = header_text(headers.get("user-agent"))
        click = Click(
            click_id,
            now,
            now,
            "click",
            partner_id,
            entry.offer.id,
            invalid_reason(agent),
            None,
            sid,
            fields.get("source"),
            fields.get("sub1"),
            fields.get("sub2"),
            fields.get("sub3"),
            fields.get("sub4"),
            fields.get("sub5"),
            promo_code=fields.get("promo_code"),
            referrer=header_text(headers.get("referer")),
            user_agent=agent,
            ip=address_of(scope),
            params=cleaned(others),
            door=DOOR,
        )
        await context.publish(context.intake.accept_record(click, traceparent_of(scope)), DOOR)
        location = self._location(entry, now, fields, click_id)
        return moved(location, [("set-cookie", self._cookie.write(sid, scope.scheme, host_of(scope)))])

    def _offer(self, offer_id: str, now: int) -> OfferEntry:
        entry = self._context.intake.catalog_at(now).offers.get(offer_id)
        if entry is None:
            raise unknown("offer", offer_id)
        return entry

    def _location(self, entry: OfferEntry, now: int, fields: dict[str, str], click_id: str | None) -> str:
        values: dict[str, str | None] = {
            **fields,
            "transaction_id": click_id,
            "offer_id": entry.offer.id,
            "affiliate_id": fields.get("partner_id"),
            "timestamp": str(now // 1_000),
        }
        return entry.destination(now).fill(values)

    async def _refuse(self, error: InvalidEvent, scope: Scope, now: int, counted: bool) -> Answer:
        # Here the offer is the resource; on the other doors it is a field.
        status = HTTPStatus.NOT_FOUND if error.reason == "UNKNOWN_OFFER" else None
        if not counted:
            return problem(refusal_of(error, status))
        return await self._context.refuse(error, request_line(scope), now=now, door=DOOR, status=status)


def partner_of(fields: dict[str, str]) -> str:
    """The partner; one that the catalog does not know is taken too, crediting then says NO_CONTRACT."""
    partner_id = fields.get("partner_id")
    if partner_id is None:
        raise InvalidEvent("MISSING_FIELD", "partner_id", "is required: add partner=ID to the link")
    if len(partner_id) > ID_LIMIT:
        raise InvalidEvent("INVALID_FIELD", "partner_id", f"has more than {ID_LIMIT} characters")
    return partner_id


def header_text(value: str | None) -> str | None:
    return None if value is None else clean(value)


def cleaned(params: dict[str, str]) -> dict[str, str]:
    """What we have no field for, as a record may keep it."""
    pairs = ((clean(name), clean(value)) for name, value in params.items())
    return {name: value for name, value in pairs if name is not None and value is not None}


def moved(location: str, headers: HeaderList) -> Answer:
    return Answer(302, [("location", location), NO_STORE, REFERRER_POLICY, *headers])
