"""A number that no message can hold is refused in one line."""

import sys

import pytest
import typer

from rating_service.cli.main import main
from rating_service.cli.usage.usage_commands import NUMBER_MAX, read_quantities


def test_a_quantity_may_be_as_large_as_a_message_takes() -> None:
    assert read_quantities([f"tokens={NUMBER_MAX}", f"back=-{NUMBER_MAX}"]) == {
        "tokens": NUMBER_MAX,
        "back": -NUMBER_MAX,
    }
    with pytest.raises(typer.BadParameter):
        read_quantities([f"tokens={NUMBER_MAX + 1}"])


def test_an_option_beyond_its_field_is_told_and_no_traceback_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["rating", "invoice", "list", "--page-size", "99999999999"])
    with pytest.raises(SystemExit) as left:
        main()

    assert left.value.code == 2
    assert capsys.readouterr().err == "rating: a number is beyond what it may be: 99999999999\n"
