"""The forms of names, ids and page bounds that callers may send: the ledger's own, as its protos say."""

from __future__ import annotations

import re
from base64 import b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from typing import Final

from rating_service.application.refusals import RequestReason, RequestRefused

USAGE_ID_LENGTH_MAX: Final = 200
"""Characters in a usage id, which becomes the debit's idempotency key."""
PAGE_SIZE_DEFAULT: Final = 100
PAGE_SIZE_MAX: Final = 1_000

_ID: Final = "[A-Za-z0-9][A-Za-z0-9._~-]{0,99}"
_CONTRACT: Final = re.compile(f"contracts/{_ID}")
_PLAN: Final = re.compile(f"plans/{_ID}")
_ID_ALONE: Final = re.compile(_ID)
_WALLET: Final = re.compile(f"wallets/{_ID}")
_RATE_CARD: Final = re.compile(f"rateCards/{_ID}")
_CARD_PHASE: Final = re.compile(f"rateCards/{_ID}/phases/[1-9][0-9]{{0,17}}")
# An invoice is named by contract and cycle, which makes it longer than other names.
_INVOICE: Final = re.compile("invoices/[A-Za-z0-9][A-Za-z0-9._~-]{0,149}")

# A credit note is named by its invoice and a number.
_CREDIT_NOTE: Final = re.compile("creditNotes/[A-Za-z0-9][A-Za-z0-9._~-]{0,169}")


def check_contract(name: str, *, field: str) -> None:
    """Refuse what is not contracts/{contract}."""
    _check(_CONTRACT, name, field=field, form="contracts/{contract}")


def is_wallet(name: str) -> bool:
    """Say whether a name is wallets/{wallet}."""
    return _WALLET.fullmatch(name) is not None


def check_rate_card(name: str, *, field: str) -> None:
    """Refuse what is not rateCards/{rate_card}."""
    _check(_RATE_CARD, name, field=field, form="rateCards/{rate_card}")


def check_card_phase(name: str, *, field: str) -> None:
    """Refuse what is not rateCards/{rate_card}/phases/{phase}."""
    _check(_CARD_PHASE, name, field=field, form="rateCards/{rate_card}/phases/{phase}")


def check_invoice(name: str, *, field: str) -> None:
    """Refuse what is not invoices/{invoice}."""
    _check(_INVOICE, name, field=field, form="invoices/{invoice}")


def check_credit_note(name: str, *, field: str) -> None:
    """Refuse what is not creditNotes/{credit_note}."""
    _check(_CREDIT_NOTE, name, field=field, form="creditNotes/{credit_note}")


def check_plan(name: str, *, field: str) -> None:
    """Refuse what is not plans/{plan}."""
    _check(_PLAN, name, field=field, form="plans/{plan}")


def check_id(text: str, *, field: str) -> None:
    """Refuse what cannot be the last part of a name."""
    _check(_ID_ALONE, text, field=field, form="1 to 100 of A-Z, a-z, 0-9, '.', '_', '~', '-'")


def check_idempotency_key(key: str) -> None:
    """Refuse a key that is empty or longer than the ledger takes."""
    check_usage_id(key, field="idempotency_key")


def check_usage_id(text: str, *, field: str) -> None:
    """Refuse an id that is empty or longer than USAGE_ID_LENGTH_MAX."""
    if not text:
        raise RequestRefused(RequestReason.FIELD_REQUIRED, f"{field} is required", field=field)
    if len(text) > USAGE_ID_LENGTH_MAX:
        raise RequestRefused(
            RequestReason.FIELD_TOO_LONG,
            f"{field} has {len(text)} characters, more than {USAGE_ID_LENGTH_MAX}",
            field=field,
        )


def checked_page_size(page_size: int) -> int:
    """Return the page size, PAGE_SIZE_DEFAULT for 0. Refuses what is outside 1 to PAGE_SIZE_MAX."""
    if page_size == 0:
        return PAGE_SIZE_DEFAULT
    if not 1 <= page_size <= PAGE_SIZE_MAX:
        raise RequestRefused(
            RequestReason.NUMBER_OUT_OF_RANGE,
            f"page_size {page_size} is outside 1 to {PAGE_SIZE_MAX}",
            field="page_size",
        )
    return page_size


def checked_position(position: int) -> int:
    """Return a position of the log, which is not negative."""
    if position < 0:
        raise RequestRefused(
            RequestReason.NUMBER_OUT_OF_RANGE, f"min_position {position} is negative", field="min_position"
        )
    return position


def page_token(last: str) -> str:
    """Return the token of the page after the item `last`."""
    return urlsafe_b64encode(last.encode()).decode()


def last_of_page(token: str) -> str:
    """Return the item that a token was made of, "" for no token. Refuses PAGE_TOKEN_MALFORMED."""
    try:
        return b64decode(token.encode(), altchars=b"-_", validate=True).decode()
    except (Base64Error, ValueError):
        raise _malformed_token() from None


def last_position_of_page(token: str) -> int:
    """Return the position that a token was made of, 0 for no token. Refuses PAGE_TOKEN_MALFORMED."""
    text = last_of_page(token)
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise _malformed_token()
    return int(text)


def _malformed_token() -> RequestRefused:
    return RequestRefused(
        RequestReason.PAGE_TOKEN_MALFORMED, "page_token was not given by this service", field="page_token"
    )


def _check(pattern: re.Pattern[str], name: str, *, field: str, form: str) -> None:
    if pattern.fullmatch(name):
        return
    if not name:
        raise RequestRefused(RequestReason.FIELD_REQUIRED, f"{field} is required", field=field)
    raise RequestRefused(RequestReason.FIELD_MALFORMED, f"{field} {name[:80]!r} is not {form}", field=field)
