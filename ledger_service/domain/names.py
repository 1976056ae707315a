"""Names and texts: their forms and maxima, checked once, here."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from ledger_service.domain.exact import exact, is_exact_text
from ledger_service.domain.refusals import (
    AmountOutOfRange,
    FieldMalformed,
    FieldRequired,
    FieldTooLong,
    NumberOutOfRange,
    TimesOutOfOrder,
)
from ledger_service.domain.values import UNITS_MAX, Asset, Money, UnitPrice

KEY_LENGTH_MAX: Final = 200
"""Longest idempotency key, in characters."""
TEXT_LENGTH_MAX: Final = 200
"""Longest reference or title, in characters."""
SCALE_MAX: Final = 12
"""Most decimal digits of an asset: 10^-12 leaves 9,223,372 whole assets within int64."""

_ID: Final = r"[A-Za-z0-9][A-Za-z0-9._~-]{0,99}"
# Documents are named by contract and cycle, which makes them longer than other names.
_DOCUMENT_ID: Final = r"[A-Za-z0-9][A-Za-z0-9._~-]{0,199}"
_ID_OF: Final = dict.fromkeys(
    (
        "wallets",
        "customers",
        "rateCards",
        "plans",
        "contracts",
        "breakagePools",
        "accountingPeriods",
        "entities",
    ),
    _ID,
) | dict.fromkeys(("invoices", "creditNotes"), _DOCUMENT_ID)
_NAMES: Final = {
    collection: re.compile(f"{collection}/{form}", re.ASCII) for collection, form in _ID_OF.items()
}
_ID_FORM: Final = re.compile(_ID, re.ASCII)
_WORD: Final = re.compile(r"[a-z0-9_]{1,64}", re.ASCII)
_FEATURE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~:-]{0,99}", re.ASCII)
_ASSET_CODE: Final = re.compile(r"[A-Z][A-Z0-9_]{0,15}", re.ASCII)
_CURRENCY: Final = re.compile(r"[A-Z]{3}", re.ASCII)
_PRICE: Final = re.compile(r"(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?", re.ASCII)


def check_name(name: str, *, collection: str, field: str) -> None:
    """Refuse a name that is not collection/{id}."""
    if not name:
        raise FieldRequired(f"{field} is required", field=field)
    if _NAMES[collection].fullmatch(name) is None:
        raise FieldMalformed(f"{field} {name[:120]!r} is not of the form {collection}/{{id}}", field=field)


def check_id(text: str, *, field: str) -> None:
    """Refuse an id that cannot be the last part of a name."""
    if not text:
        raise FieldRequired(f"{field} is required", field=field)
    if _ID_FORM.fullmatch(text) is None:
        raise FieldMalformed(
            f"{field} {text[:120]!r} must be 1 to 100 of A-Z, a-z, 0-9, '.', '_', '~', '-'", field=field
        )


def check_idempotency_key(key: str) -> None:
    """Refuse an empty, overlong or unprintable key."""
    if not key:
        raise FieldRequired("idempotency_key is required", field="idempotency_key")
    if len(key) > KEY_LENGTH_MAX:
        raise FieldTooLong(f"idempotency_key exceeds {KEY_LENGTH_MAX} characters", field="idempotency_key")
    if not key.isprintable():
        raise FieldMalformed("idempotency_key holds unprintable characters", field="idempotency_key")


def check_text(text: str, *, field: str, length_max: int = TEXT_LENGTH_MAX) -> None:
    """Refuse an overlong free text, and one that the store cannot hold."""
    if len(text) > length_max:
        raise FieldTooLong(f"{field} exceeds {length_max} characters", field=field)
    if "\x00" in text:
        raise FieldMalformed(f"{field} holds a zero character", field=field)


def check_word(text: str, *, field: str) -> None:
    """Refuse a key or dimension that is not 1 to 64 of a-z, 0-9 and _."""
    if not text:
        raise FieldRequired(f"{field} is required", field=field)
    if _WORD.fullmatch(text) is None:
        raise FieldMalformed(f"{field} {text[:80]!r} must be 1 to 64 of a-z, 0-9 and _", field=field)


def check_feature(text: str, *, field: str) -> None:
    """Refuse a malformed feature."""
    if _FEATURE.fullmatch(text) is None:
        raise FieldMalformed(
            f"{field} {text[:80]!r} must be 1 to 100 of A-Z, a-z, 0-9 and . _ ~ : -", field=field
        )


def check_asset(asset: Asset, *, field: str) -> None:
    """Refuse a malformed asset."""
    if not asset.code:
        raise FieldRequired(f"{field}.code is required", field=f"{field}.code")
    if _ASSET_CODE.fullmatch(asset.code) is None:
        raise FieldMalformed(
            f"{field}.code {asset.code[:40]!r} must be 1 to 16 of A-Z, 0-9 and _", field=f"{field}.code"
        )
    check_range(asset.scale, low=0, high=SCALE_MAX, field=f"{field}.scale")


def check_money(money: Money, *, field: str) -> None:
    """Refuse money without a currency and negative money."""
    check_currency(money.currency_code, field=f"{field}.currency_code")
    if not 0 <= money.nanos <= UNITS_MAX:
        raise AmountOutOfRange(f"{field}.nanos must lie in 0 to {UNITS_MAX}", field=f"{field}.nanos")


def check_currency(code: str, *, field: str) -> None:
    """Refuse what is not an ISO 4217 code by its form."""
    if not code:
        raise FieldRequired(f"{field} is required", field=field)
    if _CURRENCY.fullmatch(code) is None:
        raise FieldMalformed(f"{field} {code[:20]!r} is not three capital letters", field=field)


def check_price(text: str, *, field: str) -> None:
    """Refuse a price that is not plain decimal text with at most 18 digits and 18 decimals."""
    if not text:
        raise FieldRequired(f"{field} is required", field=field)
    if _PRICE.fullmatch(text) is None:
        raise FieldMalformed(
            f"{field} {text[:60]!r} must be a plain decimal, not negative, with at most 18 decimals",
            field=field,
        )
    exact(text)


def check_exact(text: str, *, field: str) -> None:
    """Refuse what is not exact decimal text, which may have more decimals than a price."""
    if not is_exact_text(text):
        raise FieldMalformed(f"{field} {text[:60]!r} is not a plain decimal", field=field)


def check_unit_price(price: UnitPrice, *, field: str) -> None:
    """Refuse a malformed price with currency."""
    check_currency(price.currency_code, field=f"{field}.currency_code")
    check_price(price.price, field=f"{field}.price")


def check_range(number: int, *, low: int, high: int, field: str) -> None:
    """Refuse a number outside [low, high]."""
    if not low <= number <= high:
        raise NumberOutOfRange(f"{field} must lie in {low} to {high}, not {number}", field=field)


def check_span(from_time: datetime, to_time: datetime | None, *, field: str) -> None:
    """Refuse a span that ends at or before its beginning."""
    if to_time is not None and to_time <= from_time:
        raise TimesOutOfOrder(f"{field} must lie after the beginning of the span", field=field)
