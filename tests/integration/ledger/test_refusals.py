"""Every refusal over a real channel, each at its exact boundary: code, domain, reason and field.

A case sends one request. `FINE` in the place of a reason says that the request lies just inside the boundary.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import grpc
import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from credits.ledger.v1 import (
    finance_service_pb2,
    history_service_pb2,
    money_pb2,
    wallet_pb2,
    wallet_service_pb2,
)
from ledger_service.domain import refusals
from ledger_service.domain.refusals import Refusal
from ledger_service.domain.refusals import service as service_refusals
from ledger_service.rpc.refusal_status import STATUS_OF
from tests.integration.ledger.client import (
    CREDIT,
    CUSTOMER,
    PAID,
    PROMOTIONAL,
    UNITS_MAX,
    Client,
    key,
    refusal,
    send,
)

FINE: Final = None
BEYOND: Final = 253_402_300_800
"""The first second of the year 10000."""
Reason = type[Refusal] | None


class Case(NamedTuple):
    """A request made from a wallet's name, and how it is refused."""

    title: str
    method: Callable[[Client], Callable[..., Any]]
    request: Callable[[str], Message]
    reason: Reason
    field: str = ""


def opening(title: str, reason: Reason, field: str = "", **fields: Any) -> Case:
    """An OpenWallet."""
    wallet = {"customer": CUSTOMER, "asset": CREDIT} | fields.pop("wallet", {})

    def request(_: str) -> Message:
        usual: dict[str, Any] = {
            "wallet_id": f"w-{key()}",
            "idempotency_key": key(),
            "wallet": wallet_pb2.Wallet(**wallet),
        }
        return wallet_service_pb2.OpenWalletRequest(**usual | fields)

    return Case(f"open: {title}", lambda client: client.wallets.OpenWallet, request, reason, field)


def granting(title: str, reason: Reason, field: str = "", *, name: str | None = None, **fields: Any) -> Case:
    """A Grant; `idempotency_key` is the request's, all other fields are the grant's."""
    idempotency_key = fields.pop("idempotency_key", None)

    def request(wallet: str) -> Message:
        return wallet_service_pb2.GrantRequest(
            name=wallet if name is None else name,
            idempotency_key=key() if idempotency_key is None else idempotency_key,
            grant=wallet_pb2.Grant(**{"amount_units": 1, "category": PAID} | fields),
        )

    return Case(f"grant: {title}", lambda client: client.wallets.Grant, request, reason, field)


def debiting(title: str, reason: Reason, field: str = "", **fields: Any) -> Case:
    """A Debit of 1 unit."""

    def request(wallet: str) -> Message:
        usual: dict[str, Any] = {"name": wallet, "idempotency_key": key(), "amount_units": 1}
        return wallet_service_pb2.DebitRequest(**usual | fields)

    return Case(f"debit: {title}", lambda client: client.wallets.Debit, request, reason, field)


def charging(title: str, reason: Reason, field: str = "", *, amount_units: int = 0, **fields: Any) -> Case:
    """A Debit with a charge of 1 unit on one line."""
    line = {"dimension": "tokens", "quantity": 1, "unit_price": "1", "exact_units": "1"}
    lines = [wallet_pb2.ChargeLine(**line | fields.pop("line", {}))] * fields.pop("line_count", 1)
    charge = {"rate_card_phase": "rateCards/c/phases/1", "exact_units": "1", "lines": lines} | fields
    return debiting(
        f"charge, {title}", reason, field, amount_units=amount_units, charge=wallet_pb2.Charge(**charge)
    )


def reading(
    title: str, method: str, reason: Reason, field: str = "", *, named: bool = True, **fields: Any
) -> Case:
    """A read of WalletService or HistoryService, of the wallet if it is `named`."""

    def stub(client: Client) -> Callable[..., Any]:
        found: Callable[..., Any] = getattr(client.wallets, method, None) or getattr(client.history, method)
        return found

    def request(wallet: str) -> Message:
        module: Any = wallet_service_pb2 if hasattr(wallet_service_pb2, f"{method}Request") else None
        kind = getattr(module or history_service_pb2, f"{method}Request")
        message: Message = kind(**({"name": wallet} if named else {}) | fields)
        return message

    return Case(f"{method}: {title}", stub, request, reason, field)


def rolling(title: str, reason: Reason, field: str = "", **fields: Any) -> Case:
    """A GetRollForward of the first of January 1970."""

    def request(_: str) -> Message:
        span = {"from_time": Timestamp(seconds=0), "to_time": Timestamp(seconds=86_400)}
        return finance_service_pb2.GetRollForwardRequest(**span | {"currency_code": "USD"} | fields)

    return Case(
        f"roll forward: {title}", lambda client: client.finance.GetRollForward, request, reason, field
    )


def money(nanos: int, currency_code: str = "USD") -> money_pb2.Money:
    """Return money."""
    return money_pb2.Money(currency_code=currency_code, nanos=nanos)


def at(seconds: int, nanos: int = 0) -> Timestamp:
    """Return a timestamp, which may be malformed."""
    return Timestamp(seconds=seconds, nanos=nanos)


REQUIRED = refusals.FieldRequired
MALFORMED = refusals.FieldMalformed
TOO_LONG = refusals.FieldTooLong
NOT_ALLOWED = refusals.FieldNotAllowed
RANGE = refusals.NumberOutOfRange
NOT_POSITIVE = refusals.AmountNotPositive
AMOUNT_RANGE = refusals.AmountOutOfRange
UNSPECIFIED = refusals.ValueUnspecified
TIME = refusals.TimeMalformed
TOKEN = service_refusals.PageTokenMalformed

CASES: Final = [
    opening("an id of 100 characters", FINE, wallet_id=f"{key()}{key()}{key()}aaaa"),
    opening("an id of 101 characters", MALFORMED, "wallet_id", wallet_id="a" * 101),
    opening("no id", REQUIRED, "wallet_id", wallet_id=""),
    opening("an id that begins with a dot", MALFORMED, "wallet_id", wallet_id=".a"),
    opening("an id with a slash", MALFORMED, "wallet_id", wallet_id="a/b"),
    opening("an id with a line feed at its end", MALFORMED, "wallet_id", wallet_id="a\n"),
    opening("an id with a letter outside ASCII", MALFORMED, "wallet_id", wallet_id="é"),
    opening("no key", REQUIRED, "idempotency_key", idempotency_key=""),
    opening("no customer", REQUIRED, "wallet.customer", wallet={"customer": ""}),
    opening(
        "a customer of another collection", MALFORMED, "wallet.customer", wallet={"customer": "wallets/a"}
    ),
    opening(
        "no asset code", REQUIRED, "wallet.asset.code", wallet={"asset": money_pb2.Asset(code="", scale=6)}
    ),
    opening("an asset code of 16 characters", FINE, wallet={"asset": money_pb2.Asset(code="A" * 16)}),
    opening(
        "an asset code of 17 characters",
        MALFORMED,
        "wallet.asset.code",
        wallet={"asset": money_pb2.Asset(code="A" * 17)},
    ),
    opening("a scale of 12", FINE, wallet={"asset": money_pb2.Asset(code="A", scale=12)}),
    opening(
        "a scale of 13", RANGE, "wallet.asset.scale", wallet={"asset": money_pb2.Asset(code="A", scale=13)}
    ),
    opening(
        "a scale of -1", RANGE, "wallet.asset.scale", wallet={"asset": money_pb2.Asset(code="A", scale=-1)}
    ),
    opening("an unknown shortfall mode", UNSPECIFIED, "wallet.shortfall_mode", wallet={"shortfall_mode": 77}),
    opening(
        "an overage limit of -1", RANGE, "wallet.overage_limit_units", wallet={"overage_limit_units": -1}
    ),
    opening("the largest overage limit", FINE, wallet={"overage_limit_units": UNITS_MAX}),
    granting("an amount of 1", FINE),
    granting("an amount of 0", NOT_POSITIVE, "grant.amount_units", amount_units=0),
    granting("an amount of -1", NOT_POSITIVE, "grant.amount_units", amount_units=-1),
    granting("the least amount of int64", NOT_POSITIVE, "grant.amount_units", amount_units=-(2**63)),
    granting("a key of 200 characters", FINE, idempotency_key="k" * 200),
    granting("a key of 201 characters", TOO_LONG, "idempotency_key", idempotency_key="k" * 201),
    granting("a key of 200 characters of 4 bytes", FINE, idempotency_key="\U0001f600" * 200),
    granting("a key with a tab", MALFORMED, "idempotency_key", idempotency_key="k\t"),
    granting("a key with a zero character", MALFORMED, "idempotency_key", idempotency_key="k\x00"),
    granting("no category", UNSPECIFIED, "grant.category", category=0),
    granting("an unknown category", UNSPECIFIED, "grant.category", category=99),
    granting("a priority of 1,000,000", FINE, priority=1_000_000),
    granting("a priority of 1,000,001", RANGE, "grant.priority", priority=1_000_001),
    granting("a priority of -1", RANGE, "grant.priority", priority=-1),
    granting("32 features", FINE, scope=[f"f{n}" for n in range(32)]),
    granting("33 features", TOO_LONG, "grant.scope", scope=[f"f{n}" for n in range(33)]),
    granting("a feature twice", MALFORMED, "grant.scope", scope=["f", "f"]),
    granting("an empty feature", MALFORMED, "grant.scope", scope=[""]),
    granting("a reference of 200 characters", FINE, reference="r" * 200),
    granting("a reference of 201 characters", TOO_LONG, "grant.reference", reference="r" * 201),
    granting("a reference with a zero character", MALFORMED, "grant.reference", reference="\x00"),
    granting("nanos of -1", TIME, "grant.effective_time", effective_time=at(0, -1)),
    granting("nanos of 1,000,000,000", TIME, "grant.expire_time", expire_time=at(BEYOND - 1, 10**9)),
    granting("the last instant of 9999", FINE, expire_time=at(BEYOND - 1, 999_999_999)),
    granting("the year 10000", TIME, "grant.expire_time", expire_time=at(BEYOND)),
    granting("the year 0", TIME, "grant.effective_time", effective_time=at(-62_135_596_801)),
    granting("the first instant of the year 1", FINE, effective_time=at(-62_135_596_800)),
    granting(
        "an expiry at its beginning",
        refusals.TimesOutOfOrder,
        "grant.expire_time",
        effective_time=at(1_000),
        expire_time=at(1_000, 999),
    ),
    granting(
        "an expiry a microsecond after its beginning",
        FINE,
        effective_time=at(1_000),
        expire_time=at(1_000, 1_000),
    ),
    granting("consideration of 0", FINE, consideration=money(0)),
    granting("consideration of -1", AMOUNT_RANGE, "grant.consideration.nanos", consideration=money(-1)),
    granting(
        "consideration without a currency",
        REQUIRED,
        "grant.consideration.currency_code",
        consideration=money(1, ""),
    ),
    granting(
        "consideration in lower case",
        MALFORMED,
        "grant.consideration.currency_code",
        consideration=money(1, "usd"),
    ),
    granting(
        "consideration for a gift",
        NOT_ALLOWED,
        "grant.consideration",
        category=PROMOTIONAL,
        consideration=money(1),
    ),
    granting("a contract for what was sold", NOT_ALLOWED, "grant.contract", contract="contracts/a"),
    granting("no wallet", REQUIRED, "name", name=""),
    granting("a malformed wallet", MALFORMED, "name", name="wallets/"),
    granting("an unknown wallet", refusals.WalletNotFound, "name", name="wallets/nobody"),
    debiting("an amount of 1", FINE),
    debiting("an amount of 0", NOT_POSITIVE, "amount_units", amount_units=0),
    debiting("an amount of -1", NOT_POSITIVE, "amount_units", amount_units=-1),
    debiting("all there is", FINE, amount_units=1_000),
    debiting("one unit more", refusals.InsufficientCredit, "amount_units", amount_units=1_001),
    debiting("one unit more, delivered", FINE, amount_units=1_001, delivered=True),
    debiting("the largest amount", refusals.InsufficientCredit, "amount_units", amount_units=UNITS_MAX),
    debiting("the largest amount, delivered", FINE, amount_units=UNITS_MAX, delivered=True),
    debiting("a feature of 100 characters", FINE, feature="f" * 100),
    debiting("a feature of 101 characters", MALFORMED, "feature", feature="f" * 101),
    debiting("nanos of -1", TIME, "effective_time", effective_time=at(0, -1)),
    debiting("the year 10000", TIME, "effective_time", effective_time=at(BEYOND)),
    debiting(
        "the last second of 9999", refusals.TimeInFuture, "effective_time", effective_time=at(BEYOND - 1)
    ),
    debiting("before the grant", refusals.InsufficientCredit, "amount_units", effective_time=at(1_000)),
    debiting("an unknown wallet", refusals.WalletNotFound, "name", name="wallets/nobody"),
    debiting("a wallet of another collection", MALFORMED, "name", name="plans/a"),
    debiting("a key of 201 characters", TOO_LONG, "idempotency_key", idempotency_key="k" * 201),
    charging("one unit", FINE),
    charging("an amount beside it", NOT_ALLOWED, "amount_units", amount_units=1),
    charging(
        "lines that do not add up", refusals.ChargeInconsistent, "charge.exact_units", exact_units="1.01"
    ),
    charging(
        "a contract on an unbound wallet",
        refusals.ChargeContractMismatch,
        "charge.contract",
        contract="contracts/a",
    ),
    charging("no total", MALFORMED, "charge.exact_units", exact_units=""),
    charging("a negative total", MALFORMED, "charge.exact_units", exact_units="-1"),
    charging("no phase", REQUIRED, "charge.rate_card_phase", rate_card_phase=""),
    charging("no line", REQUIRED, "charge.lines", lines=[]),
    charging("64 lines", FINE, line_count=64, exact_units="64"),
    charging("65 lines", TOO_LONG, "charge.lines", line_count=65, exact_units="65"),
    charging("a quantity of -1", RANGE, "charge.lines.quantity", line={"quantity": -1}),
    charging("a dimension in capitals", MALFORMED, "charge.lines.dimension", line={"dimension": "Tokens"}),
    charging("32 properties", FINE, properties={f"p{n}": "" for n in range(32)}),
    charging("33 properties", TOO_LONG, "charge.properties", properties={f"p{n}": "" for n in range(33)}),
    reading("an unknown wallet", "GetWallet", refusals.WalletNotFound, "name", named=False, name="wallets/x"),
    reading("no name", "GetBalance", REQUIRED, "name", named=False),
    reading("page size -1", "ListWallets", RANGE, "page_size", named=False, page_size=-1),
    reading("page size 0", "ListWallets", FINE, named=False, page_size=0),
    reading("page size 1", "ListWallets", FINE, named=False, page_size=1),
    reading("page size 1,000", "ListWallets", FINE, named=False, page_size=1_000),
    reading("page size 1,001", "ListWallets", RANGE, "page_size", named=False, page_size=1_001),
    reading("a foreign token", "ListWallets", TOKEN, "page_token", named=False, page_token="x"),
    reading("page size 0", "ListGrants", FINE, page_size=0),
    reading("page size 1,000", "ListGrants", FINE, page_size=1_000),
    reading("page size 1,001", "ListGrants", RANGE, "page_size", page_size=1_001),
    reading("a token outside ASCII", "ListGrants", TOKEN, "page_token", page_token="ü"),
    reading("page size 1", "ListStatementLines", FINE, page_size=1),
    reading("page size 1,001", "ListStatementLines", RANGE, "page_size", page_size=1_001),
    reading("a foreign token", "ListStatementLines", TOKEN, "page_token", page_token="bm8="),
    reading("a token outside ASCII", "ListStatementLines", TOKEN, "page_token", page_token="ü"),
    reading("nanos of -1", "ListStatementLines", TIME, "from_time", from_time=at(0, -1)),
    reading("page size -1", "ReadEvents", RANGE, "page_size", named=False, page_size=-1),
    reading("page size 5,000", "ReadEvents", FINE, named=False, page_size=5_000),
    reading("page size 5,001", "ReadEvents", RANGE, "page_size", named=False, page_size=5_001),
    reading("64 topics", "ReadEvents", FINE, named=False, topics=["t"] * 64),
    reading("65 topics", "ReadEvents", RANGE, "topics", named=False, topics=["t"] * 65),
    reading("the year 10000", "ReplayWallet", TIME, "as_of_record_time", as_of_record_time=at(BEYOND)),
    reading("before it was opened", "ReplayWallet", refusals.WalletNotFound, "name", as_of_record_time=at(0)),
    rolling("one day", FINE),
    rolling("no currency", REQUIRED, "currency_code", currency_code=""),
    rolling("no end", REQUIRED, "to_time", to_time=None),
    rolling("no day", refusals.TimesOutOfOrder, "to_time", to_time=at(0)),
    rolling("a second after midnight", MALFORMED, "from_time", from_time=at(1)),
    rolling("3,660 days", FINE, to_time=at(3_660 * 86_400)),
    rolling("3,661 days", RANGE, "to_time", to_time=at(3_661 * 86_400)),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
async def test_a_request_is_refused_just_outside_the_boundary(ledger: Client, case: Case) -> None:
    wallet = await ledger.open_wallet(granted_units=1_000)
    call = send(case.method(ledger), case.request(wallet))

    if case.reason is None:
        await call
        return
    refused = await refusal(call)

    assert (refused.code, refused.reason) == (STATUS_OF[case.reason], case.reason.reason)
    assert refused.field == case.field
    assert refused.domain == "ledger.credits"
    assert refused.message


async def test_grants_beyond_int64_in_sum_are_refused_and_one_unit_less_is_not(ledger: Client) -> None:
    wallet = await ledger.open_wallet(granted_units=1)

    refused = await refusal(ledger.grant(wallet, UNITS_MAX))
    await ledger.grant(wallet, UNITS_MAX - 1)

    assert (refused.code, refused.reason) == (grpc.StatusCode.OUT_OF_RANGE, "AMOUNT_OUT_OF_RANGE")
    assert refused.field == "grant.amount_units"
    assert (await ledger.balance(wallet)).available_units == UNITS_MAX


async def test_overage_beyond_int64_in_sum_is_refused_even_when_delivered(ledger: Client) -> None:
    wallet = await ledger.open_wallet()
    await ledger.debit(wallet, UNITS_MAX - 1, delivered=True)

    refused = await refusal(ledger.debit(wallet, 2, delivered=True))
    await ledger.debit(wallet, 1, delivered=True)

    assert (refused.reason, refused.field) == ("AMOUNT_OUT_OF_RANGE", "amount_units")
    assert (await ledger.balance(wallet)).overage_units == UNITS_MAX


async def test_a_wallet_is_opened_once(ledger: Client) -> None:
    name = await ledger.open_wallet()
    request = wallet_service_pb2.OpenWalletRequest(
        wallet_id=name.removeprefix("wallets/"),
        wallet=wallet_pb2.Wallet(customer=CUSTOMER, asset=CREDIT),
        idempotency_key="another",
    )

    refused = await refusal(send(ledger.wallets.OpenWallet, request))

    assert (refused.code, refused.reason) == (grpc.StatusCode.ALREADY_EXISTS, "WALLET_EXISTS")
    assert refused.field == "wallet_id"


@pytest.mark.parametrize("size", [0, 5_001])
async def test_a_batch_outside_one_to_five_thousand_is_refused_as_a_whole(ledger: Client, size: int) -> None:
    request = wallet_service_pb2.BatchDebitRequest(requests=[wallet_service_pb2.DebitRequest()] * size)

    refused = await refusal(send(ledger.wallets.BatchDebit, request))

    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "BATCH_SIZE_OUT_OF_RANGE")
    assert refused.field == "requests"


async def test_a_batch_of_five_thousand_is_answered_item_by_item(ledger: Client) -> None:
    wallet = await ledger.open_wallet(granted_units=4_998)
    items = [
        wallet_service_pb2.DebitRequest(name=wallet, amount_units=1, idempotency_key=f"k-{number}")
        for number in range(5_000)
    ]
    items[17].amount_units = 0

    response = await send(ledger.wallets.BatchDebit, wallet_service_pb2.BatchDebitRequest(requests=items))

    outcomes = [result.WhichOneof("outcome") for result in response.results]
    assert [index for index, outcome in enumerate(outcomes) if outcome == "error"] == [17, 4_999]
    codes = [response.results[index].error.code for index in (17, 4_999)]
    assert codes == [
        code.value[0] for code in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION)
    ]
    assert (await ledger.balance(wallet)).available_units == 0


async def test_a_position_that_a_view_has_not_reached_is_refused_with_a_time_to_come_back(
    ledger: Client,
) -> None:
    wallet = await ledger.open_wallet()
    granted = await ledger.grant(wallet, 5)
    request = wallet_service_pb2.ListGrantsRequest(name=wallet, min_position=granted.position)
    reached = await send(ledger.wallets.ListGrants, request)
    request.min_position = granted.position + 1_000_000

    refused = await refusal(send(ledger.wallets.ListGrants, request))

    assert reached.position >= granted.position
    assert [grant.amount_units for grant in reached.grants] == [5]
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "PROJECTION_BEHIND")
    assert refused.field == "min_position"
    assert refused.metadata["min_position"] == str(request.min_position)
    assert refused.retry_after_nanos > 0


async def test_a_token_of_another_list_is_refused(ledger: Client) -> None:
    wallet, other = [await ledger.open_wallet() for _ in range(2)]
    for _ in range(2):
        last = await ledger.grant(wallet, 1)
    request = wallet_service_pb2.ListGrantsRequest(name=wallet, page_size=1, min_position=last.position)
    token = (await send(ledger.wallets.ListGrants, request)).next_page_token
    assert token

    request = wallet_service_pb2.ListGrantsRequest(name=other, page_size=1, page_token=token)
    refused = await refusal(send(ledger.wallets.ListGrants, request))

    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_MALFORMED")


async def test_a_token_of_another_statement_is_refused(ledger: Client) -> None:
    wallet, other = [await ledger.open_wallet(granted_units=2) for _ in range(2)]
    request = wallet_service_pb2.ListStatementLinesRequest(name=wallet, page_size=1)
    token = (await send(ledger.wallets.ListStatementLines, request)).next_page_token
    request.page_token = token
    second = await send(ledger.wallets.ListStatementLines, request)

    request.name = other
    refused = await refusal(send(ledger.wallets.ListStatementLines, request))

    assert [line.posted_units for line in second.lines] == [2]
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_MALFORMED")
    assert refused.field == "page_token"


def test_each_refusal_has_one_status_and_a_reason_of_its_own() -> None:
    def all_below(kind: type[Refusal]) -> list[type[Refusal]]:
        return [each for child in kind.__subclasses__() for each in (child, *all_below(child))]

    kinds = [kind for kind in all_below(Refusal) if kind.__module__.startswith("ledger_service.")]

    assert len(kinds) > 30
    assert len(kinds) == len(set(kinds))
    assert set(STATUS_OF) == set(kinds)
    assert len({kind.reason for kind in kinds}) == len(kinds)
    internal = [kind for kind, code in STATUS_OF.items() if code is grpc.StatusCode.INTERNAL]
    assert internal == [service_refusals.DecisionFailed], "only a fault of ours is INTERNAL"
