"""Commands on legal entities: the currency of their books, and exchange rates."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from credits.ledger.v1 import entity_books_pb2, finance_service_pb2_grpc
from ledger_service.cli.client import (
    ADDRESS_DEFAULT,
    CALL_SECONDS_MAX,
    Address,
    AsJson,
    CaFile,
    connect,
    console,
    folded,
    print_json,
    read_instant,
    show_instant,
)
from ledger_service.cli.wallet_calls import Key, given_or_fresh

app = typer.Typer()
PAGE_SIZE = 1_000
Name = Annotated[str, typer.Argument(help="entities/{entity}; entities/default is that of what names none.")]
Currency = Annotated[str, typer.Argument(help="ISO 4217 code.")]


@app.command("set-currency")
def set_currency(
    name: Name,
    currency: Currency,
    key: Key = "",
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
) -> None:
    """Keep the books of an entity in one currency, for ever."""
    request = entity_books_pb2.SetFunctionalCurrencyRequest(
        name=name, idempotency_key=given_or_fresh(key), functional_currency_code=currency
    )
    with connect(address, ca_file) as channel:
        stub = finance_service_pb2_grpc.FinanceServiceStub(channel)
        answer = stub.SetFunctionalCurrency(request, timeout=CALL_SECONDS_MAX)
    if json:
        print_json(answer)
    else:
        console.print(f"the books of {name} are kept in {answer.books.functional_currency_code}")


@app.command("set-rate")
def set_rate(
    name: Name,
    currency: Currency,
    rate: Annotated[str, typer.Argument(help="What one unit of it is worth in the functional currency.")],
    from_time: Annotated[str, typer.Option("--from", help="First instant; it holds until the next rate.")],
    source: Annotated[str, typer.Option(help="Who published it.")] = "",
    key: Key = "",
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
) -> None:
    """State what a currency is worth from an instant on."""
    request = entity_books_pb2.SetExchangeRateRequest(
        name=name,
        idempotency_key=given_or_fresh(key),
        exchange_rate=entity_books_pb2.ExchangeRate(
            currency_code=currency,
            rate=rate,
            from_time=read_instant(from_time, option="--from"),
            source=source,
        ),
    )
    with connect(address, ca_file) as channel:
        stub = finance_service_pb2_grpc.FinanceServiceStub(channel)
        answer = stub.SetExchangeRate(request, timeout=CALL_SECONDS_MAX)
    if json:
        print_json(answer)
    else:
        stated = answer.exchange_rate
        console.print(f"{stated.currency_code} is {stated.rate} from {show_instant(stated.from_time)}")


@app.command()
def rates(
    name: Name,
    currency: Annotated[str, typer.Option(help="Only rates of this currency.")] = "",
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
) -> None:
    """Show the currency of an entity's books, and its exchange rates with their history."""
    request = entity_books_pb2.ListExchangeRatesRequest(
        name=name, currency_code=currency, page_size=PAGE_SIZE
    )
    with connect(address, ca_file) as channel:
        stub = finance_service_pb2_grpc.FinanceServiceStub(channel)
        asked = entity_books_pb2.GetEntityBooksRequest(name=name)
        books = stub.GetEntityBooks(asked, timeout=CALL_SECONDS_MAX).books
        title = f"{name} in {books.functional_currency_code or 'the currency of each sale and bill'}"
        table = Table("Currency", "From", "To", title=title)
        table.add_column("Rate", justify="right")
        for column in ("Source", "Recorded", "At position", "State"):
            table.add_column(column)
        if json:
            print_json(books)
        while True:
            page = stub.ListExchangeRates(request, timeout=CALL_SECONDS_MAX)
            for rate in page.exchange_rates:
                if json:
                    print_json(rate)
                table.add_row(*_cells(rate))
            request.page_token = page.next_page_token
            if not page.next_page_token:
                break
    if not json:
        console.print(folded(table))


def _cells(rate: entity_books_pb2.ExchangeRate) -> tuple[str, ...]:
    return (
        rate.currency_code,
        show_instant(rate.from_time),
        show_instant(rate.to_time) if rate.HasField("to_time") else "",
        rate.rate,
        rate.source,
        show_instant(rate.record_time),
        f"{rate.position:,}",
        "replaced" if rate.replaced else "",
    )
