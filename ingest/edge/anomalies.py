"""What is odd about a conversion, for a person to look at. It never changes who is credited."""

from __future__ import annotations

from collections.abc import Callable

from schemas.errors import InvalidEvent
from schemas.ids import read_click_id
from schemas.records import Conversion

REVIEW = "accredit_review"
"""The name in a conversion's ``params`` under which its flags stand, with commas; ``v_review`` lists them."""
COUNTRY_CODES = """
AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC
CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD
GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH
KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW
MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC
SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY
UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW
"""
COUNTRIES = frozenset(COUNTRY_CODES.split())
"""ISO 3166-1 alpha-2, and XK, which iptocc and the ad platforms use for Kosovo."""


def anomalies(conversion: Conversion, too_fast_ms: int, country_of: Callable[[str], str | None]) -> list[str]:
    """``too_fast`` and ``before_click`` by the time in the click id; ``impossible_country``: no country of that code,
    or another one than the buyer's address is in.
    """
    found = []
    if conversion.click_id is not None:
        try:
            after = conversion.occurred_at - read_click_id(conversion.click_id).clicked_at
        except InvalidEvent:  # of another system, or derived for a touch without one: it tells no time
            pass
        else:
            if after < 0:
                found.append("before_click")
            elif after < too_fast_ms:
                found.append("too_fast")
    country = conversion.country
    if country is not None:
        there = None if conversion.ip is None else country_of(conversion.ip)
        if country not in COUNTRIES or there not in (None, country):
            found.append("impossible_country")
    return found
