"""`rating card check|publish|withdraw` and `rating plan check|publish`: rate cards and plans from YAML files.

Publishing is safe to repeat: what is published once is replayed, because the idempotency keys come from the
file's own content.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from credits.ledger.v1 import (
    agreement_pb2,
    contract_changes_pb2,
    contract_service_pb2,
    contract_service_pb2_grpc,
    rate_card_service_pb2_grpc,
)
from rating_service.cli.cards.card_file import RateCardFile, read_plan, read_rate_card
from rating_service.cli.cards.card_publication import content_key, ensure_card, publish_phase
from rating_service.cli.cards.card_use import card_use, warn_unused
from rating_service.cli.cards.plan_table import plan_table
from rating_service.cli.cards.price_table import price_rows
from rating_service.cli.connection import (
    CALL_SECONDS_MAX,
    open_ledger,
    print_message,
    print_message_with,
    printed_json,
)
from rating_service.cli.instants import day

card_app = typer.Typer(help="Rate cards as files.", no_args_is_help=True)
plan_app = typer.Typer(help="Plans as files.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="YAML file.")]


@card_app.command()
def check(file: File, as_json: Annotated[bool, printed_json()] = False) -> None:
    """Check a rate card file and show what it says; nothing is sent."""
    card = _read_card(file)
    name = f"rateCards/{card.rate_card_id}"
    used = card_use(name)
    if as_json:
        whole = agreement_pb2.RateCard(name=name, phases=card.phases)
        whole.MergeFrom(card.rate_card)
        print_message_with(whole, used=used)
    else:
        console = Console()
        for phase in card.phases:
            console.print(_phase_table(card.rate_card_id, phase))
        for dimension, meaning in sorted(card.rate_card.unit_definitions.items()):
            console.print(f"{dimension}: {meaning}", highlight=False)
    undefined = {rate.dimension for phase in card.phases for rate in phase.rates}
    for dimension in sorted(undefined - set(card.rate_card.unit_definitions)):
        print(f"warning: {file}: unit_definitions does not say what one of {dimension} is", file=sys.stderr)
    warn_unused(name, used)


@card_app.command("publish")
def publish_card(
    file: File,
    retroactive: Annotated[
        bool, typer.Option(help="Let a phase begin in the past: a card's first one, or a proposal.")
    ] = False,
    as_json: Annotated[bool, printed_json()] = False,
) -> None:
    """Create the rate card of a file if it is new, and publish its phases."""
    card = _read_card(file)
    with open_ledger() as channel:
        ensure_card(channel, card)
        used = card_use(f"rateCards/{card.rate_card_id}")
        for phase in card.phases:
            answer = publish_phase(channel, card.rate_card_id, phase, retroactive=retroactive)
            if as_json:
                print_message_with(answer, used=used)
            else:
                done = "proposed" if answer.proposed else "published"
                state = f"was {done} before" if answer.replayed else done
                print(f"{answer.phase.name} from {day(answer.phase.from_time)}: {state}")
    warn_unused(f"rateCards/{card.rate_card_id}", used)


@card_app.command()
def withdraw(
    phase: Annotated[
        str, typer.Argument(help="rateCards/{rate_card}/phases/{phase}, one that has not begun.")
    ],
    as_json: Annotated[bool, printed_json()] = False,
) -> None:
    """Withdraw a phase that has not begun; the phase before it lasts again.

    Publishing a file never brings back the very phase that was withdrawn: one that differs in anything is new.
    """
    request = contract_changes_pb2.WithdrawRateCardPhaseRequest(
        name=phase, idempotency_key=f"withdraw-{phase}"
    )
    with open_ledger() as channel:
        stub = rate_card_service_pb2_grpc.RateCardServiceStub(channel)
        answer = stub.WithdrawRateCardPhase(request, timeout=CALL_SECONDS_MAX)
    if as_json:
        print_message(answer)
    else:
        print(f"{answer.name}: {'was withdrawn before' if answer.replayed else 'withdrawn'}")


@plan_app.command("check")
def check_plan(file: File, as_json: Annotated[bool, printed_json()] = False) -> None:
    """Check a plan file and show what it says; nothing is sent."""
    plan = read_plan(file.read_text(encoding="utf-8"), file=str(file))
    if as_json:
        whole = agreement_pb2.Plan(name=f"plans/{plan.plan_id}")
        whole.MergeFrom(plan.plan)
        print_message(whole)
    else:
        Console().print(plan_table(plan.plan_id, plan.plan))


@plan_app.command("publish")
def publish_plan(file: File, as_json: Annotated[bool, printed_json()] = False) -> None:
    """Publish the next version of the plan of a file."""
    plan = read_plan(file.read_text(encoding="utf-8"), file=str(file))
    request = contract_service_pb2.PublishPlanRequest(
        plan_id=plan.plan_id, plan=plan.plan, idempotency_key=content_key("plan", plan.plan)
    )
    with open_ledger() as channel:
        stub = contract_service_pb2_grpc.ContractServiceStub(channel)
        answer = stub.PublishPlan(request, timeout=CALL_SECONDS_MAX)
    if as_json:
        print_message(answer)
    else:
        state = "was published before" if answer.replayed else "published"
        print(f"{answer.plan.name} version {answer.plan.version}: {state}")


def _read_card(file: Path) -> RateCardFile:
    return read_rate_card(file.read_text(encoding="utf-8"), file=str(file))


def _phase_table(card: str, phase: agreement_pb2.RateCardPhase) -> Table:
    table = Table(title=f"rateCards/{card} from {day(phase.from_time)}")
    table.add_column("dimension", overflow="fold")
    table.add_column("applies to", overflow="fold")
    table.add_column("price", justify="right", overflow="fold")
    for rate in phase.rates:
        applies = ", ".join(f"{name}={pattern}" for name, pattern in sorted(rate.match.items()))
        (what, price), *rest = price_rows(rate)
        table.add_row(rate.dimension, f"{applies or 'all'}{what and ': '}{what}", price)
        for inner, inner_price in rest:
            table.add_row("", inner, inner_price)
    for multiplier in phase.multipliers:
        scaled = ", ".join(multiplier.dimensions) or "all"
        for tier in multiplier.tiers:
            table.add_row(scaled, f"{multiplier.property} up to {tier.up_to:,}", f"x {tier.factor}")
    for bracket in phase.brackets:
        for band in bracket.bands:
            span = f"up to {band.up_to:,}" if band.HasField("up_to") else "above"
            table.add_row(f"{bracket.property}={band.value}", f"{' + '.join(bracket.sum_of)} {span}", "")
    return table
