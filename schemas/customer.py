"""A buyer as an event may name one: by a hash, so that no e-mail address is ever in the log.

Plain SHA-256 of the trimmed, lower-case address, as senders know it from the ad platforms: a sender may hash by itself,
and an operator can write the same value into a partner's ``buyer_ids`` (RULES, SELF_REFERRAL).
"""

from __future__ import annotations

import hashlib
import re

HASHED = re.compile(r"[0-9a-fA-F]{64}")
WORD = re.compile(r"[^\s,;:<>()\[\]{}\"'&=?/\\]+")
AT = re.compile(r".(?:@|%40).", re.DOTALL)
"""What makes a word an e-mail address, rather one too many than one too few; ``%40`` is an ``@`` encoded twice."""


def customer_hash(text: str) -> str:
    """64 hex digits for an e-mail address or another name of a buyer. What is such a hash already stays what it is.

    Upper and lower case are the same in an address, and differ in any other name.
    """
    text = text.strip()
    if HASHED.fullmatch(text) is not None:
        return text.lower()
    if AT.search(text) is not None:
        text = text.replace("%40", "@").lower()
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()


def as_customer(text: str) -> str:
    """A customer's id as a record may have it: an e-mail address by its hash, any other name as it is."""
    return customer_hash(text) if AT.search(text) is not None else text


def without_emails(text: str) -> str:
    """The text with every e-mail address in it replaced by its hash."""
    if AT.search(text) is None:
        return text
    return WORD.sub(lambda word: word[0] if AT.search(word[0]) is None else customer_hash(word[0]), text)
