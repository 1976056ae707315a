"""Names of what is part of a wallet are read strictly."""

import pytest

from ledger_service.domain.refusals import FieldMalformed, FieldRequired
from ledger_service.domain.values import UNITS_MAX
from ledger_service.rpc.part_names import read_part_name, write_part_name


@pytest.mark.parametrize("version", [1, UNITS_MAX])
def test_a_name_that_was_written_is_read_again(version: int) -> None:
    name = write_part_name("wallets/acme", "holds", version)

    assert read_part_name(name, collection="holds") == ("wallets/acme", version)


@pytest.mark.parametrize(
    "name",
    [
        "wallets/acme/holds/0",
        "wallets/acme/holds/01",
        "wallets/acme/holds/-1",
        "wallets/acme/holds/+1",
        "wallets/acme/holds/1 ",
        "wallets/acme/holds/\u0661",
        f"wallets/acme/holds/{UNITS_MAX + 1}",
        "wallets/acme/holds/",
        "wallets/acme/debits/1",
        "wallets/acme/holds/1/holds/1",
        "customers/acme/holds/1",
        "/holds/1",
        "1",
    ],
)
def test_any_other_form_is_malformed(name: str) -> None:
    with pytest.raises(FieldMalformed) as caught:
        read_part_name(name, collection="holds", field="hold")

    assert caught.value.field == "hold"


def test_an_empty_name_is_missing() -> None:
    with pytest.raises(FieldRequired):
        read_part_name("", collection="holds")
