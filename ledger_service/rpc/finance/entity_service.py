"""The methods of FinanceService about legal entities: the currency of their books, and exchange rates."""

from __future__ import annotations

from typing import Final

from credits.ledger.v1 import entity_books_pb2
from ledger_service.application.reading.page_tokens import RatesToken, decode_token, encode_token
from ledger_service.application.reporting.finance_ports import FinanceViews, RateView
from ledger_service.application.writing.calls import Outcome
from ledger_service.application.writing.writer import Writer
from ledger_service.domain.commands import AnyCommand, Request, SetExchangeRate, SetFunctionalCurrency
from ledger_service.domain.events import ExchangeRateSet, FunctionalCurrencySet
from ledger_service.domain.finance.entity_books import EntityBooks
from ledger_service.domain.names import check_currency, check_idempotency_key, check_name, check_range
from ledger_service.domain.refusals import FieldRequired
from ledger_service.domain.refusals.service import PageTokenMalformed
from ledger_service.rpc.calls import Context, actor_of
from ledger_service.rpc.finance.finance_report_service import FinanceReportServicer
from ledger_service.rpc.values import read_time, write_time

PAGE_SIZE_DEFAULT: Final = 100
PAGE_SIZE_MAX: Final = 1_000


class EntityMethods(FinanceReportServicer):
    """Part of the FinanceServicer."""

    _writer: Writer
    _views: FinanceViews

    async def SetFunctionalCurrency(
        self, request: entity_books_pb2.SetFunctionalCurrencyRequest, context: Context
    ) -> entity_books_pb2.SetFunctionalCurrencyResponse:
        """Say in which currency the books of an entity are kept."""
        check_name(request.name, collection="entities", field="name")
        command = SetFunctionalCurrency(request.name, request.functional_currency_code)
        outcome = await self._submit(command, request.idempotency_key, context)
        event = outcome.fact.event
        assert isinstance(event, FunctionalCurrencySet)
        return entity_books_pb2.SetFunctionalCurrencyResponse(
            books=entity_books_pb2.EntityBooks(
                name=request.name,
                functional_currency_code=event.currency_code,
                set_time=write_time(outcome.fact.effective_time),
            ),
            replayed=outcome.replayed,
            position=outcome.position,
        )

    async def GetEntityBooks(
        self, request: entity_books_pb2.GetEntityBooksRequest, context: Context
    ) -> entity_books_pb2.GetEntityBooksResponse:
        """Read in which currency the books of an entity are kept."""
        check_name(request.name, collection="entities", field="name")
        books = (await self._writer.read(request.name)).state
        message = entity_books_pb2.EntityBooks(name=request.name)
        if isinstance(books, EntityBooks):
            message.functional_currency_code = books.functional_currency
            message.set_time.CopyFrom(write_time(books.set_time))
        return entity_books_pb2.GetEntityBooksResponse(books=message)

    async def SetExchangeRate(
        self, request: entity_books_pb2.SetExchangeRateRequest, context: Context
    ) -> entity_books_pb2.SetExchangeRateResponse:
        """State what a currency is worth from an instant on."""
        check_name(request.name, collection="entities", field="name")
        outcome = await self._submit(_read_rate(request), request.idempotency_key, context)
        event = outcome.fact.event
        assert isinstance(event, ExchangeRateSet)
        return entity_books_pb2.SetExchangeRateResponse(
            exchange_rate=entity_books_pb2.ExchangeRate(
                currency_code=event.currency_code,
                rate=event.rate,
                from_time=write_time(event.from_time),
                source=event.source,
                record_time=write_time(outcome.fact.record_time),
                position=outcome.position,
            ),
            replayed=outcome.replayed,
            position=outcome.position,
        )

    async def ListExchangeRates(
        self, request: entity_books_pb2.ListExchangeRatesRequest, context: Context
    ) -> entity_books_pb2.ListExchangeRatesResponse:
        """List the exchange rates of an entity with their history."""
        check_name(request.name, collection="entities", field="name")
        if request.currency_code:
            check_currency(request.currency_code, field="currency_code")
        size = request.page_size or PAGE_SIZE_DEFAULT
        check_range(size, low=1, high=PAGE_SIZE_MAX, field="page_size")
        rates, position = await self._views.list_rates(
            request.name.partition("/")[2],
            currency_code=request.currency_code,
            after=_after(request.page_token, request.name),
            limit=size + 1,
            min_position=request.min_position,
        )
        page = rates[:size]
        return entity_books_pb2.ListExchangeRatesResponse(
            exchange_rates=[_write_rate(rate) for rate in page],
            next_page_token=encode_token(_token_of(request.name, page[-1])) if len(rates) > size else "",
            position=position,
        )

    async def _submit(self, command: AnyCommand, key: str, context: Context) -> Outcome:
        check_idempotency_key(key)
        outcome = await self._writer.submit(Request(command, key, actor_of(context)))
        assert outcome is not None, "a keyed command records something"
        return outcome


def _read_rate(request: entity_books_pb2.SetExchangeRateRequest) -> SetExchangeRate:
    stated = request.exchange_rate
    if not stated.HasField("from_time"):
        raise FieldRequired("exchange_rate.from_time is required", field="exchange_rate.from_time")
    return SetExchangeRate(
        request.name,
        stated.currency_code,
        stated.rate,
        read_time(stated.from_time, field="exchange_rate.from_time"),
        stated.source,
    )


def _write_rate(rate: RateView) -> entity_books_pb2.ExchangeRate:
    return entity_books_pb2.ExchangeRate(
        currency_code=rate.currency_code,
        rate=rate.rate,
        from_time=write_time(rate.from_time),
        to_time=None if rate.to_time is None else write_time(rate.to_time),
        source=rate.source,
        record_time=write_time(rate.record_time),
        position=rate.position,
        replaced=rate.replaced,
    )


def _after(page_token: str, name: str) -> RatesToken | None:
    if not page_token:
        return None
    token = decode_token(page_token, RatesToken)
    if token.entity != name:
        raise PageTokenMalformed("the page token is of another entity's list", field="page_token")
    return token


def _token_of(name: str, rate: RateView) -> RatesToken:
    return RatesToken(name, rate.currency_code, rate.from_time, rate.position)
