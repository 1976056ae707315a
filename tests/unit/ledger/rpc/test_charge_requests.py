"""A line of a charge has one price, or prices in its parts; one with neither is refused."""

import pytest

from credits.ledger.v1 import price_model_pb2, wallet_pb2
from ledger_service.domain.refusals import FieldMalformed, FieldRequired
from ledger_service.rpc.wallets.charge_requests import read_charge

QUANTITY = price_model_pb2.CHARGE_PART_KIND_QUANTITY


def charge(unit_price: str, *parts: price_model_pb2.ChargePart) -> wallet_pb2.Charge:
    """Return a charge of one line."""
    line = wallet_pb2.ChargeLine(
        dimension="tickets", quantity=2, unit_size=1, unit_price=unit_price, exact_units="10", parts=parts
    )
    return wallet_pb2.Charge(
        contract="contracts/acme",
        contract_phase="main",
        rate_card_phase="rateCards/llm/phases/1",
        phase_hash="0" * 64,
        exact_units="10",
        lines=[line],
    )


def part() -> price_model_pb2.ChargePart:
    return price_model_pb2.ChargePart(kind=QUANTITY, tier=1, quantity=2, price="5", exact_units="10")


def test_a_line_has_its_price_or_its_parts() -> None:
    (plain,) = read_charge(charge("5")).lines
    (parted,) = read_charge(charge("", part())).lines

    assert (plain.unit_price, plain.parts) == ("5", ())
    assert (parted.unit_price, [each.price for each in parted.parts]) == ("", ["5"])


@pytest.mark.parametrize("refused", [charge(""), charge("-1", part())])
def test_a_line_without_any_price_or_with_a_wrong_one_is_refused(refused: wallet_pb2.Charge) -> None:
    with pytest.raises((FieldRequired, FieldMalformed)) as caught:
        read_charge(refused)

    assert caught.value.field == "charge.lines.unit_price"
