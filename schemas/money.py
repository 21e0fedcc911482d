"""Money: ``Decimal`` and an ISO 4217 code, rounded once, half-even, to the currency's minor unit (RULES 2.7, R40)."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation

EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)
AMOUNT = re.compile(r"-?\d{1,18}(\.\d{1,9})?")
NUMBER = re.compile(r"-?[0-9]{1,25}(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?")
NINE_DECIMALS = Decimal("1e-9")

ZERO_DECIMALS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
THREE_DECIMALS = "BHD IQD JOD KWD LYD OMR TND"
FOUR_DECIMALS = "CLF UYW"
TWO_DECIMALS = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW "
    "CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR "
    "ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV "
    "MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD "
    "SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG"
)

MINOR_UNITS: dict[str, int] = {
    code: digits
    for digits, codes in ((0, ZERO_DECIMALS), (2, TWO_DECIMALS), (3, THREE_DECIMALS), (4, FOUR_DECIMALS))
    for code in codes.split()
}
"""ISO 4217 code → number of decimals of its minor unit (ISO 4217 list one, active codes)."""

QUANTA = {code: Decimal(1).scaleb(-digits) for code, digits in MINOR_UNITS.items()}


def parse_amount(text: str) -> Decimal:
    """Plain decimal text (``49.90``) to Decimal: no exponent, 18 digits and 9 decimals. ValueError otherwise."""
    if AMOUNT.fullmatch(text) is None or not text.isascii():
        raise ValueError(f'{text!r} is not an amount; send plain decimal text like "49.90"')
    return Decimal(text)


def plain_number(text: str) -> str:
    """A number as JSON and doubles print it (``1e3``, ``0.30000000000000004``) as an amount's text: ``1000``, ``0.3``.

    What binary fractions leave beyond nine decimals is rounded away, half-even. Text that is no such number stays.
    """
    if AMOUNT.fullmatch(text) is not None or NUMBER.fullmatch(text) is None:
        return text
    try:
        number = EXACT.quantize(Decimal(text), NINE_DECIMALS)
    except InvalidOperation:
        return text
    return format(number, "f").rstrip("0").rstrip(".")


def round_money(amount: Decimal, currency: str) -> Decimal:
    """Round half-even to the minor unit of ``currency``. KeyError for a code that ISO 4217 does not list."""
    return amount.quantize(QUANTA[currency], context=EXACT)


def format_amount(amount: Decimal) -> str:
    """Decimal to plain text without an exponent."""
    return format(amount, "f")
