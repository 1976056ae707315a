"""`rating contract sign|show|list|schedule|extend-trial|change-plan|end`.

A command may be repeated safely under the `--key` of its first time.
"""

from __future__ import annotations

from typing import Annotated, Any
from uuid import uuid4

import typer
from google.protobuf.field_mask_pb2 import FieldMask
from rich.console import Console
from rich.table import Table

from credits.ledger.v1 import (
    agreement_pb2,
    billing_terms_pb2,
    contract_changes_pb2,
    contract_service_pb2,
    contract_service_pb2_grpc,
    money_pb2,
    wallet_pb2,
)
from rating_service.cli.amounts import read_amount, read_money
from rating_service.cli.cards.plan_table import card_condition, phase_terms
from rating_service.cli.connection import CALL_SECONDS_MAX, open_ledger, print_message, printed_json
from rating_service.cli.contracts import plan_change_commands
from rating_service.cli.instants import as_timestamp, day

app = typer.Typer(help="What was agreed with customers.", no_args_is_help=True)
app.command()(plan_change_commands.preview_plan_change)
app.command()(plan_change_commands.commit_plan_change)
app.command()(plan_change_commands.migrate)


Contract = Annotated[str, typer.Argument(help="contracts/{contract}")]
Json = Annotated[bool, printed_json()]
Key = Annotated[str, typer.Option(help="Idempotency key. Default: a new one.")]
At = Annotated[str, typer.Option("--at", help="First instant, ISO 8601. Default: now.")]


@app.command()
def sign(
    contract_id: Annotated[str, typer.Argument(help="Last part of the new contract's name.")],
    customer: Annotated[str, typer.Option(help="customers/{customer}")],
    wallet: Annotated[str, typer.Option(help="wallets/{wallet}")],
    plan: Annotated[str, typer.Option(help="plans/{plan}, the newest version.")],
    start: Annotated[str, typer.Option(help="First instant or day, ISO 8601.")],
    interval: Annotated[str, typer.Option(help="DAY, WEEK, MONTH or YEAR.")] = "MONTH",
    zone: Annotated[str, typer.Option(help="IANA time zone of the cycles.")] = "UTC",
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Bind a customer's wallet to a plan."""
    request = contract_service_pb2.SignContractRequest(
        contract_id=contract_id,
        contract=agreement_pb2.Contract(
            customer=customer,
            wallet=wallet,
            plan=plan,
            start_time=as_timestamp(start),
            cycle=agreement_pb2.Cycle(
                interval=_value(agreement_pb2.CycleInterval, "CYCLE_INTERVAL", interval), zone=zone
            ),
        ),
        idempotency_key=_key(key),
    )
    with open_ledger() as channel:
        stub = contract_service_pb2_grpc.ContractServiceStub(channel)
        answer = stub.SignContract(request, timeout=CALL_SECONDS_MAX)
    if as_json:
        print_message(answer)
    else:
        _print_phases(answer.contract.name, answer.contract.phases)


@app.command()
def show(contract: Contract, as_json: Json = False) -> None:
    """Show a contract with its phases and their terms, as all changes so far leave them."""
    with open_ledger() as channel:
        stub = contract_service_pb2_grpc.ContractServiceStub(channel)
        request = contract_service_pb2.GetContractRequest(name=contract)
        answer = stub.GetContract(request, timeout=CALL_SECONDS_MAX)
        plan = contract_service_pb2.GetPlanRequest(name=answer.contract.plan)
        asset = stub.GetPlan(plan, timeout=CALL_SECONDS_MAX).plan.asset
    if as_json:
        print_message(answer)
        return
    found = answer.contract
    print(f"{found.name}: {found.customer}, {found.wallet}, {found.plan} version {found.plan_version}")
    _print_terms(found, asset)


@app.command()
def schedule(
    contract: Contract,
    at: At = "",
    phase: Annotated[str, typer.Option(help="Key of the phase.")] = "",
    card: Annotated[str, typer.Option(help="rateCards/{rate_card} that prices usage.")] = "",
    card_for: Annotated[
        list[str] | None,
        typer.Option(
            help="A further card and the usage that it is for: rateCards/images=feature:draw,model:flux-*"
        ),
    ] = None,
    fee: Annotated[str, typer.Option(help="Fee of a cycle with its currency: 29.50 EUR.")] = "",
    fee_timing: Annotated[str, typer.Option(help="ARREARS or ADVANCE: when fees are invoiced.")] = "",
    included_units: Annotated[int | None, typer.Option(help="Units included in each cycle.")] = None,
    mode: Annotated[str, typer.Option(help="HARD, SOFT or ADVANCE.")] = "",
    overage_price: Annotated[str, typer.Option(help="Price of overage with its currency: 0.01 EUR.")] = "",
    overage_limit_units: Annotated[
        int | None, typer.Option(help="Most units of overage; 0: no limit.")
    ] = None,
    replace_later: Annotated[bool, typer.Option(help="Take the place of all later phases.")] = False,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Let a contract run under other terms from an instant on; what is not named stays as it is then."""
    terms: dict[str, Any] = {
        "key": phase or None,
        "rate_card": card or None,
        "additional_cards": [_phase_card(text) for text in card_for] if card_for else None,
        "base_fee": read_money(fee) if fee else None,
        "fee_timing": _value(billing_terms_pb2.FeeTiming, "FEE_TIMING", fee_timing) if fee_timing else None,
        "included_units": included_units,
        "shortfall_mode": _value(wallet_pb2.ShortfallMode, "SHORTFALL_MODE", mode) if mode else None,
        "overage_price": _unit_price(overage_price) if overage_price else None,
        "overage_limit_units": overage_limit_units,
    }
    named = {name: value for name, value in terms.items() if value is not None}
    request = contract_changes_pb2.ScheduleContractPhaseRequest(
        name=contract,
        idempotency_key=_key(key),
        from_time=as_timestamp(at) if at else None,
        terms=agreement_pb2.PlanPhase(**named),
        update_mask=FieldMask(paths=list(named)),
        replace_later=replace_later,
    )
    with open_ledger() as channel:
        stub = contract_service_pb2_grpc.ContractServiceStub(channel)
        _print_change(stub.ScheduleContractPhase(request, timeout=CALL_SECONDS_MAX), as_json=as_json)


@app.command("extend-trial")
def extend_trial(
    contract: Contract,
    end: Annotated[str, typer.Argument(help="The new end, ISO 8601.")],
    phase: Annotated[str, typer.Option(help="Key of the phase that ends later.")] = "trial",
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Let a phase that another follows end later; what follows it moves."""
    request = contract_changes_pb2.ExtendTrialRequest(
        name=contract, idempotency_key=_key(key), key=phase, end_time=as_timestamp(end)
    )
    with open_ledger() as channel:
        stub = contract_service_pb2_grpc.ContractServiceStub(channel)
        _print_change(stub.ExtendTrial(request, timeout=CALL_SECONDS_MAX), as_json=as_json)


@app.command("change-plan")
def change_plan(
    contract: Contract,
    plan: Annotated[str, typer.Argument(help="plans/{plan}")],
    version: Annotated[int, typer.Option(help="Version of the plan. Default: the newest.")] = 0,
    at: At = "",
    at_cycle_end: Annotated[bool, typer.Option(help="Change where the cycle ends.")] = False,
    take_trial: Annotated[bool, typer.Option(help="Begin with the plan's first phase.")] = False,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Let a contract follow another plan."""
    timing = (
        contract_changes_pb2.CHANGE_TIMING_AT_CYCLE_END
        if at_cycle_end
        else contract_changes_pb2.CHANGE_TIMING_AT_ONCE
    )
    request = contract_changes_pb2.ChangePlanRequest(
        name=contract,
        idempotency_key=_key(key),
        plan=plan,
        plan_version=version,
        timing=timing,
        from_time=as_timestamp(at) if at else None,
        take_trial=take_trial,
    )
    with open_ledger() as channel:
        stub = contract_service_pb2_grpc.ContractServiceStub(channel)
        _print_change(stub.ChangePlan(request, timeout=CALL_SECONDS_MAX), as_json=as_json)


@app.command()
def end(contract: Contract, at: At = "", key: Key = "", as_json: Json = False) -> None:
    """End a contract; its wallet may take another one."""
    request = contract_changes_pb2.EndContractRequest(
        name=contract, idempotency_key=_key(key), end_time=as_timestamp(at) if at else None
    )
    with open_ledger() as channel:
        stub = contract_service_pb2_grpc.ContractServiceStub(channel)
        _print_change(stub.EndContract(request, timeout=CALL_SECONDS_MAX), as_json=as_json)


def _key(key: str) -> str:
    return key or uuid4().hex


def _value(enum: Any, prefix: str, name: str) -> Any:
    try:
        return enum.Value(f"{prefix}_{name.upper()}")
    except ValueError:
        raise typer.BadParameter(f"{name!r} is not known") from None


def _phase_card(text: str) -> agreement_pb2.PhaseCard:
    """Return a further card; several features are any of them, other conditions must all hold."""
    name, _, conditions = text.partition("=")
    card = agreement_pb2.PhaseCard(rate_card=name)
    for condition in conditions.split(","):
        key, colon, value = condition.partition(":")
        if not colon:
            raise typer.BadParameter(f"{condition!r} is not a condition such as feature:chat or model:flux-*")
        if key == "feature":
            card.features.append(value)
        else:
            card.match[key] = value
    return card


def _unit_price(text: str) -> money_pb2.UnitPrice:
    amount, currency = read_amount(text)
    return money_pb2.UnitPrice(currency_code=currency, price=f"{amount:f}")


def _print_change(answer: Any, *, as_json: bool) -> None:
    if as_json:
        print_message(answer)
        return
    change = answer.change
    state = " (done before)" if answer.replayed else ""
    if change.phases:
        _print_phases(f"{change.contract} from {day(change.from_time)}{state}", change.phases)
    else:
        print(f"{change.contract} ends {day(change.from_time)}{state}")


def _print_terms(contract: agreement_pb2.Contract, asset: money_pb2.Asset) -> None:
    """Print every phase with its span and all that applies in it, overrides included."""
    table = Table(title=contract.name)
    for column in ("phase", "term", "value"):
        table.add_column(column, overflow="fold")
    for phase in contract.phases:
        until = f"until {day(phase.to_time)}" if phase.HasField("to_time") else "without end"
        labels = [phase.key, f"from {day(phase.from_time)}", until]
        terms = list(phase_terms(phase.terms, asset))
        rows = max(len(labels), len(terms))
        labels += [""] * (rows - len(labels))
        terms += [("", "")] * (rows - len(terms))
        for label, (term, value) in zip(labels, terms, strict=True):
            table.add_row(label, term, value)
        table.add_section()
    Console().print(table)


def _print_phases(title: str, phases: Any) -> None:
    table = Table(title=title)
    for column in ("phase", "from", "to", "rate card", "shortfall"):
        table.add_column(column, overflow="fold")
    for phase in phases:
        mode = wallet_pb2.ShortfallMode.Name(phase.terms.shortfall_mode).removeprefix("SHORTFALL_MODE_")
        to_time = day(phase.to_time) if phase.HasField("to_time") else ""
        cards = [phase.terms.rate_card]
        cards += [f"{card.rate_card} ({card_condition(card)})" for card in phase.terms.additional_cards]
        table.add_row(phase.key, day(phase.from_time), to_time, "\n".join(cards), mode)
    Console().print(table)
