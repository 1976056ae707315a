"""`rating simulate`: what recorded or synthetic usage would cost under other prices or plans."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import typer
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from rich.console import Console
from rich.progress import Progress

from credits.ledger.v1 import agreement_pb2
from credits.rating.v1 import simulation_service_pb2, simulation_service_pb2_grpc
from rating_service.cli.cards.card_file import RateCardFile, read_plan, read_rate_card
from rating_service.cli.connection import open_service, print_json, printed_json
from rating_service.cli.instants import as_timestamp
from rating_service.cli.simulations.simulation_page import simulation_page
from rating_service.cli.simulations.simulation_tables import print_simulation
from rating_service.cli.simulations.traffic_file import read_traffic

SIMULATION_SECONDS_MAX: Final = 3_600.0
_PERMILLE: Final = 1_000


class Simulated(NamedTuple):
    """What a simulation told."""

    contracts: list[simulation_service_pb2.SimulatedContract]
    result: simulation_service_pb2.SimulationResult


def simulate(
    from_time: Annotated[str, typer.Option("--from", help="First instant or day of the span.")],
    to_time: Annotated[str, typer.Option("--to", help="First instant or day after it.")],
    card: Annotated[
        list[str] | None,
        typer.Option(help="YAML file, rateCards/{card} or rateCards/{card}/phases/{n}; repeatable."),
    ] = None,
    plan: Annotated[list[str] | None, typer.Option(help="YAML file or plans/{plan}; repeatable.")] = None,
    all_phases: Annotated[
        bool, typer.Option(help="Each phase of a card file at its time, and not the last one at any time.")
    ] = False,
    contract: Annotated[list[str] | None, typer.Option(help="Only contracts/{contract}; repeatable.")] = None,
    customers: Annotated[
        list[str] | None, typer.Option(help="Only customers/{customer}; repeatable.")
    ] = None,
    share: Annotated[int, typer.Option(min=1, max=100, help="Only this share of the contracts, in %.")] = 100,
    replaces: Annotated[str, typer.Option(help="Only what rateCards/{card} priced is priced anew.")] = "",
    synthetic: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Traffic model, YAML, in place of history."),
    ] = None,
    baseline: Annotated[
        str, typer.Option(help="What synthetic usage is priced by now: like --card, or plans/{plan}.")
    ] = "",
    threshold: Annotated[str, typer.Option(help="From which change on a contract moves, in %.")] = "20",
    movers: Annotated[int, typer.Option(min=1, max=1_000, help="Most winners and losers.")] = 20,
    html: Annotated[Path | None, typer.Option(help="Write a report to look at.")] = None,
    as_json: Annotated[bool, printed_json()] = False,
) -> None:
    """Price recorded or synthetic usage under other prices or plans; nothing is recorded."""
    request = simulation_service_pb2.SimulateRateCardRequest(
        candidates=_candidates(card or [], plan or [], all_phases=all_phases),
        from_time=as_timestamp(from_time),
        to_time=as_timestamp(to_time),
        threshold_percent=threshold,
        movers_max=movers,
    )
    if synthetic is None:
        request.recorded.contracts.extend(contract or [])
        request.recorded.customers.extend(customers or [])
        request.recorded.share_percent = share
        request.recorded.replaced_rate_card = replaces
    else:
        request.synthetic.CopyFrom(read_traffic(synthetic))
    if baseline:
        request.baseline.CopyFrom(_baseline(baseline, all_phases=all_phases))
    simulated = run(request)
    if html is not None:
        span = f"{from_time} to {to_time}"
        html.write_text(
            simulation_page(simulated.result, simulated.contracts, span=span, threshold=threshold),
            encoding="utf-8",
        )
        print(f"{html}: written", file=sys.stderr)
    if as_json:
        print_json(_tree(simulated))
    else:
        print_simulation(simulated.result, simulated.contracts, threshold=threshold)


def run(request: simulation_service_pb2.SimulateRateCardRequest) -> Simulated:
    """Run a simulation and show how far it is."""
    contracts: list[simulation_service_pb2.SimulatedContract] = []
    result = simulation_service_pb2.SimulationResult()
    with (
        open_service() as channel,
        Progress(console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True) as progress,
    ):
        task = progress.add_task("simulating", total=_PERMILLE)
        stub = simulation_service_pb2_grpc.SimulationServiceStub(channel)
        for told in stub.SimulateRateCard(request, timeout=SIMULATION_SECONDS_MAX):
            if told.HasField("progress"):
                usages = f"simulating, {told.progress.usage_count:,} usages"
                progress.update(task, completed=told.progress.done_permille, description=usages)
            elif told.HasField("contracts"):
                contracts.extend(told.contracts.contracts)
            else:
                result = told.result
    return Simulated(contracts, result)


def _candidates(
    cards: list[str], plans: list[str], *, all_phases: bool
) -> list[simulation_service_pb2.SimulationCandidate]:
    """Return a candidate for each card and plan; a plan of a file uses the card of a file that it names."""
    files = {text: _card_file(text) for text in cards if not text.startswith("rateCards/")}
    found: list[simulation_service_pb2.SimulationCandidate] = []
    for text in cards:
        message = simulation_service_pb2.SimulationCandidate()
        if text in files:
            message.label = text
            message.inline_card.CopyFrom(_inline(files[text], all_phases=all_phases))
        else:
            message.rate_card = text
        found.append(message)
    by_name = {f"rateCards/{file.rate_card_id}": file for file in files.values()}
    found += [_plan_candidate(text, by_name, all_phases=all_phases) for text in plans]
    if not found:
        raise typer.BadParameter("a --card or a --plan is needed")
    return found


def _plan_candidate(
    text: str, cards: dict[str, RateCardFile], *, all_phases: bool
) -> simulation_service_pb2.SimulationCandidate:
    if text.startswith("plans/"):
        return simulation_service_pb2.SimulationCandidate(plan=text)
    path = _existing(text)
    plan = read_plan(path.read_text(encoding="utf-8"), file=text)
    message = simulation_service_pb2.SimulationCandidate(label=text, inline_plan=plan.plan)
    named = cards.get(plan.plan.phases[-1].rate_card)
    if named is not None:
        message.inline_card.CopyFrom(_inline(named, all_phases=all_phases))
    return message


def _baseline(text: str, *, all_phases: bool) -> simulation_service_pb2.SimulationCandidate:
    if text.startswith("plans/"):
        return simulation_service_pb2.SimulationCandidate(plan=text)
    return _candidates([text], [], all_phases=all_phases)[0]


def _inline(file: RateCardFile, *, all_phases: bool) -> agreement_pb2.RateCard:
    """Return a card file as a candidate: its last phase at any time, or each at its own."""
    card = agreement_pb2.RateCard(phases=file.phases if all_phases else file.phases[-1:])
    card.MergeFrom(file.rate_card)
    return card


def _card_file(text: str) -> RateCardFile:
    return read_rate_card(_existing(text).read_text(encoding="utf-8"), file=text)


def _existing(text: str) -> Path:
    path = Path(text)
    if not path.is_file():
        raise typer.BadParameter(f"there is no file {text!r}")
    return path


def _tree(simulated: Simulated) -> dict[str, object]:
    return {
        "result": _dict(simulated.result),
        "contracts": [_dict(contract) for contract in simulated.contracts],
    }


def _dict(message: Message) -> dict[str, Any]:
    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
