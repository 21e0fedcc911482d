"""Refused bytes as a dead letter may keep them: no address of a person, no raw customer, no user agent.

Everything else stays byte for byte, so that a person can see what was sent and `accredit dead-letters retry` can take
it again. What stands in for a customer is what the event would have carried.
"""

from __future__ import annotations

import re

from schemas.customer import as_customer
from schemas.sealing import Sealer

LOCAL = rb"A-Za-z0-9.!#$*+\-^_`|~%"
EMAIL = re.compile(rb"(?<![%b])[%b]{1,128}?(?:@|%%40)[A-Za-z0-9\-]+(?:\.[A-Za-z0-9\-]+)+" % (LOCAL, LOCAL))
HASH = re.compile(rb"(?<![0-9A-Fa-f])[0-9A-Fa-f]{64}(?![0-9A-Fa-f])")
"""SHA-256 as senders name customers by it; who knows the address can compute it."""
IPV4 = re.compile(rb"(?<![\d.])(\d{1,3}\.\d{1,3}\.\d{1,3})\.\d{1,3}(?![\d.])")
IPV6 = re.compile(
    rb"(?<![0-9A-Fa-f:])((?:[0-9A-Fa-f]{1,4}(?::|%3[Aa])){3})(?:[0-9A-Fa-f]{0,4}(?::|%3[Aa])){1,5}[0-9A-Fa-f]{0,4}"
)
AGENT = rb"user_agent|userAgent|user-agent|referrer|referer|useragent"
AGENT_MEMBER = re.compile(rb'("(?:%b)"\s*:\s*)"(?:[^"\\]|\\.)*"' % AGENT)
AGENT_PAIR = re.compile(rb"((?:^|[?&\s])(?:%b)=)[^&\s]*" % AGENT)
CUSTOMER = rb"customer_id|customer|customerId|buyer|buyer_id|user_id|userId"
CUSTOMER_MEMBER = re.compile(rb'("(?:%b)"\s*:\s*)"((?:[^"\\]|\\.)+)"' % CUSTOMER)
CUSTOMER_PAIR = re.compile(rb"((?:^|[?&\s])(?:%b)=)([^&\s]+)" % CUSTOMER)


def redacted(original: bytes, sealer: Sealer | None) -> bytes:
    """The bytes without what names a person. ``sealer`` None: customers' hashes stay hashes."""

    def name(text: bytes) -> bytes:
        customer = as_customer(text.decode(errors="replace"))
        return (customer if sealer is None else sealer.pseudonym(customer) or "").encode()

    kept = CUSTOMER_MEMBER.sub(lambda found: found[1] + b'"' + name(found[2]) + b'"', original)
    kept = CUSTOMER_PAIR.sub(lambda found: found[1] + name(found[2]), kept)
    if b"@" in kept or b"%40" in kept:
        kept = EMAIL.sub(lambda found: name(found[0]), kept)
    if sealer is not None:
        kept = HASH.sub(lambda found: name(found[0]), kept)
    kept = AGENT_PAIR.sub(rb"\1", AGENT_MEMBER.sub(rb'\1""', kept))
    return IPV6.sub(rb"\1:", IPV4.sub(rb"\1.0", kept))
