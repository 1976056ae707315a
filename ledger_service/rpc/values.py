"""Values on the wire: times, assets, money, enumerations and names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from credits.ledger.v1 import agreement_pb2, money_pb2, wallet_pb2
from ledger_service.domain.refusals import TimeMalformed, ValueUnspecified
from ledger_service.domain.values import (
    Asset,
    BeyondLastTier,
    CycleInterval,
    GrantCategory,
    Money,
    ShortfallMode,
    UnitPrice,
)

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS_MIN: Final = -62_135_596_800
_SECONDS_MAX: Final = 253_402_300_799
_DURATION_SECONDS_MAX: Final = 315_576_000_000
_NANOS_MAX: Final = 999_999_999

SHORTFALL: Final = {
    wallet_pb2.SHORTFALL_MODE_HARD: ShortfallMode.HARD,
    wallet_pb2.SHORTFALL_MODE_SOFT: ShortfallMode.SOFT,
    wallet_pb2.SHORTFALL_MODE_ADVANCE: ShortfallMode.ADVANCE,
}
CATEGORY: Final = {
    wallet_pb2.GRANT_CATEGORY_PAID: GrantCategory.PAID,
    wallet_pb2.GRANT_CATEGORY_PROMOTIONAL: GrantCategory.PROMOTIONAL,
    wallet_pb2.GRANT_CATEGORY_INCLUDED: GrantCategory.INCLUDED,
}
INTERVAL: Final = {
    agreement_pb2.CYCLE_INTERVAL_DAY: CycleInterval.DAY,
    agreement_pb2.CYCLE_INTERVAL_WEEK: CycleInterval.WEEK,
    agreement_pb2.CYCLE_INTERVAL_MONTH: CycleInterval.MONTH,
    agreement_pb2.CYCLE_INTERVAL_YEAR: CycleInterval.YEAR,
}
BEYOND: Final = {
    agreement_pb2.BEYOND_LAST_TIER_UNSPECIFIED: BeyondLastTier.REFUSE,
    agreement_pb2.BEYOND_LAST_TIER_REFUSE: BeyondLastTier.REFUSE,
    agreement_pb2.BEYOND_LAST_TIER_LAST_APPLIES: BeyondLastTier.LAST_APPLIES,
}
SHORTFALL_WIRE: Final = {value: key for key, value in SHORTFALL.items()}
CATEGORY_WIRE: Final = {value: key for key, value in CATEGORY.items()}
INTERVAL_WIRE: Final = {value: key for key, value in INTERVAL.items()}
BEYOND_WIRE: Final = {value: key for key, value in BEYOND.items()}


def read_time(timestamp: Timestamp, *, field: str) -> datetime:
    """Return a timestamp as UTC; what is finer than a microsecond is cut off. Raises TimeMalformed."""
    seconds, nanos = timestamp.seconds, timestamp.nanos
    if not (_SECONDS_MIN <= seconds <= _SECONDS_MAX and 0 <= nanos <= _NANOS_MAX):
        raise TimeMalformed(f"{field} is not an instant between the years 1 and 9999", field=field)
    return EPOCH + timedelta(seconds=seconds, microseconds=nanos // 1000)


def write_time(instant: datetime) -> Timestamp:
    """Return an instant as a timestamp."""
    timestamp = Timestamp()
    fill_time(timestamp, instant)
    return timestamp


def fill_time(timestamp: Timestamp, instant: datetime) -> None:
    """Write an instant into an empty timestamp."""
    since = instant - EPOCH
    timestamp.seconds = since.days * 86_400 + since.seconds
    timestamp.nanos = since.microseconds * 1000


def read_duration(duration: Duration, *, field: str) -> timedelta:
    """Return a duration; what is finer than a microsecond is cut off. Raises TimeMalformed."""
    if not (abs(duration.seconds) <= _DURATION_SECONDS_MAX and abs(duration.nanos) <= _NANOS_MAX):
        raise TimeMalformed(f"{field} is not a duration of at most 10,000 years", field=field)
    return timedelta(seconds=duration.seconds, microseconds=duration.nanos // 1000)


def read_shortfall(value: wallet_pb2.ShortfallMode.ValueType, *, field: str) -> ShortfallMode:
    """Return a shortfall mode. Raises ValueUnspecified."""
    mode = SHORTFALL.get(value)
    if mode is None:
        raise ValueUnspecified(f"{field} must be HARD, SOFT or ADVANCE", field=field)
    return mode


def read_category(value: wallet_pb2.GrantCategory.ValueType, *, field: str) -> GrantCategory:
    """Return a grant category. Raises ValueUnspecified."""
    category = CATEGORY.get(value)
    if category is None:
        raise ValueUnspecified(f"{field} must be PAID, PROMOTIONAL or INCLUDED", field=field)
    return category


def read_asset(asset: money_pb2.Asset) -> Asset:
    """Return an asset."""
    return Asset(asset.code, asset.scale)


def write_asset(asset: Asset) -> money_pb2.Asset:
    """Return an asset for the wire."""
    return money_pb2.Asset(code=asset.code, scale=asset.scale)


def read_money(money: money_pb2.Money) -> Money:
    """Return money."""
    return Money(money.currency_code, money.nanos)


def write_money(money: Money) -> money_pb2.Money:
    """Return money for the wire."""
    return money_pb2.Money(currency_code=money.currency_code, nanos=money.nanos)


def read_unit_price(price: money_pb2.UnitPrice) -> UnitPrice:
    """Return a price."""
    return UnitPrice(price.currency_code, price.price)


def write_unit_price(price: UnitPrice) -> money_pb2.UnitPrice:
    """Return a price for the wire."""
    return money_pb2.UnitPrice(currency_code=price.currency_code, price=price.price)
