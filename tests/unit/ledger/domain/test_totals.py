"""Running totals: counted once, never priced twice on the same step, kept until late usage can no longer come."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from ledger_service.domain.events import Charge, ChargeLine, ChargePart, RunningTotal
from ledger_service.domain.refusals import (
    AmountOutOfRange,
    ChargeInconsistent,
    FieldMalformed,
    FieldRequired,
    InsufficientCredit,
    Refusal,
    TimesOutOfOrder,
    TotalsFull,
    TotalsNotKept,
    TotalsStale,
)
from ledger_service.domain.values import UNITS_MAX, ShortfallMode
from ledger_service.domain.wallet import totals as totals_of
from ledger_service.domain.wallet.totals import LATENESS_MAX, CycleTotals, MeterTotal
from tests.builders import NOW, Book, book, capture, debit, grant, hold, open_wallet

MICROSECOND = timedelta(microseconds=1)
START = NOW - timedelta(days=10)
END = NOW + timedelta(days=20)
METER = "rateCards/llm:calls{}"


def line(
    quantity: int,
    before: tuple[int, int],
    figure: str = "1",
    *,
    meter: str = METER,
    cycle: tuple[datetime | None, datetime | None] = (START, END),
    parts: tuple[str, ...] = (),
) -> ChargeLine:
    """Return a line of so much, priced after a (quantity, usages)."""
    return ChargeLine(
        "calls",
        quantity,
        "",
        figure,
        model="volume",
        parts=tuple(ChargePart("QUANTITY", part) for part in parts),
        total_before=RunningTotal(meter, *before, *cycle),
    )


def metered(*lines: ChargeLine, total: str = "", contract: str = "") -> Charge:
    """Return a charge with these lines."""
    figure = total or f"{sum((Decimal(each.exact_units) for each in lines), Decimal(0)):f}"
    return Charge(contract, "standard", "rateCards/llm/phases/1", "ab" * 32, lines, figure)


def soft() -> Book:
    """Return a book with an empty wallet in SOFT mode."""
    return book(open_wallet(mode=ShortfallMode.SOFT))


def counted(ledger: Book, meter: str = METER) -> list[tuple[int, int]]:
    """Return what was counted of a meter, by cycle."""
    found = [cycle.meters[meter] for cycle in ledger.wallet().totals if meter in cycle.meters]
    return [(total.quantity, total.usages) for total in found]


def refused(ledger: Book, charge: Charge, at: datetime = NOW, *, now: datetime = NOW) -> Refusal:
    """Return the refusal of a charge."""
    with pytest.raises(Refusal) as caught:
        ledger.debit(debit(charge=charge, effective_time=at, delivered=True), now)
    return caught.value


def test_a_charge_priced_on_the_wallets_totals_is_taken_and_counted() -> None:
    ledger = soft()

    ledger.debit(debit(charge=metered(line(5, (0, 0)))))
    ledger.debit(debit(charge=metered(line(0, (5, 1)), line(2, (0, 0), meter="other"))))

    assert (counted(ledger), counted(ledger, "other")) == ([(5, 2)], [(2, 1)])


@pytest.mark.parametrize("before", [(4, 1), (6, 1), (5, 0), (5, 2), (0, 0)])
def test_a_charge_priced_on_another_total_is_refused_and_told_the_true_one(before: tuple[int, int]) -> None:
    ledger = soft()
    ledger.debit(debit(charge=metered(line(5, (0, 0)))))
    state = ledger.wallet()

    refusal = refused(ledger, metered(line(1, (0, 0), meter="other"), line(1, before)))

    assert isinstance(refusal, TotalsStale)
    assert refusal.totals == (
        RunningTotal("other", 0, 0, START, END),
        RunningTotal(METER, 5, 1, START, END),
    )
    assert ledger.wallet() == state


def test_two_lines_of_one_meter_count_after_each_other() -> None:
    ledger = soft()

    stale = refused(ledger, metered(line(2, (0, 0)), line(3, (0, 0))))
    ledger.debit(debit(charge=metered(line(2, (0, 0)), line(3, (2, 1)))))

    assert isinstance(stale, TotalsStale)
    assert [(each.quantity, each.usages) for each in stale.totals] == [(0, 0), (2, 1)]
    assert counted(ledger) == [(5, 2)]


def test_cycles_contracts_and_meters_are_counted_apart() -> None:
    ledger = soft()
    earlier = (START - timedelta(days=30), START)
    ledger.debit(debit(charge=metered(line(5, (0, 0)))))

    ledger.debit(debit(charge=metered(line(1, (0, 0), cycle=earlier)), effective_time=START - MICROSECOND))
    ledger.debit(debit(charge=metered(line(2, (1, 1), cycle=earlier)), effective_time=START - MICROSECOND))

    assert counted(ledger) == [(5, 1), (3, 2)]


@pytest.mark.parametrize(
    ("at", "is_in"),
    [(START - MICROSECOND, False), (START, True), (END - MICROSECOND, True), (END, False)],
)
def test_a_usage_counts_in_the_cycle_that_holds_it(at: datetime, is_in: bool) -> None:
    ledger = soft()
    charge = metered(line(1, (0, 0)))

    if is_in:
        ledger.debit(debit(charge=charge, effective_time=at), END)
        assert counted(ledger) == [(1, 1)]
    else:
        assert isinstance(refused(ledger, charge, at, now=END), TimesOutOfOrder)


@pytest.mark.parametrize(
    ("cycle", "field"),
    [((None, END), "cycle_start_time"), ((START, None), "cycle_end_time")],
)
def test_a_total_names_its_cycle(cycle: tuple[datetime | None, datetime | None], field: str) -> None:
    refusal = refused(soft(), metered(line(1, (0, 0), cycle=cycle)))

    assert (type(refusal), refusal.field) == (FieldRequired, f"charge.lines.total_before.{field}")


@pytest.mark.parametrize(("early", "is_kept"), [(MICROSECOND, True), (timedelta(0), False)])
def test_late_usage_is_counted_until_its_cycle_ended_35_days_ago(early: timedelta, is_kept: bool) -> None:
    ledger = soft()
    ledger.debit(debit(charge=metered(line(5, (0, 0)))))
    now = END + LATENESS_MAX - early
    other = (END, now + timedelta(days=1))
    # A metered debit at that instant forgets what is no longer kept, and nothing else.
    ledger.debit(debit(charge=metered(line(1, (0, 0), cycle=other)), effective_time=now), now)

    if is_kept:
        ledger.debit(debit(charge=metered(line(2, (5, 1))), effective_time=NOW), now)
        assert counted(ledger) == [(7, 2), (1, 1)]
    else:
        assert isinstance(refused(ledger, metered(line(2, (5, 1))), now=now), TotalsNotKept)
        assert counted(ledger) == [(1, 1)]


def test_usage_of_a_cycle_too_old_is_refused_whether_or_not_it_was_forgotten() -> None:
    ledger = soft()
    ledger.debit(debit(charge=metered(line(5, (0, 0)))))

    refusal = refused(ledger, metered(line(2, (5, 1))), now=END + LATENESS_MAX)

    assert isinstance(refusal, TotalsNotKept)
    assert counted(ledger) == [(5, 1)]


def test_a_charge_that_gives_back_debits_nothing_and_the_next_ones_use_it_up() -> None:
    ledger = soft()
    ledger.debit(debit(charge=metered(line(5, (0, 0), "10.5"))))

    events = [
        ledger.debit(debit(charge=metered(line(1, (5, 1), "-4.25")))),
        ledger.debit(debit(charge=metered(line(1, (6, 2), "3.5")))),
        ledger.debit(debit(charge=metered(line(1, (7, 3), "0.5")))),
        ledger.debit(debit(charge=metered(line(1, (8, 4), "1")))),
    ]

    assert [event.amount_units for event in events] == [0, 0, 0, 1]
    # 10.5 - 4.25 + 3.5 + 0.5 + 1 = 11.25: ten and one were debited.
    assert (ledger.wallet().carried_fraction, ledger.wallet().overage_units) == (Decimal("0.25"), 11)


def test_a_charge_that_gives_back_exactly_one_unit_leaves_just_that() -> None:
    ledger = soft()

    ledger.debit(debit(charge=metered(line(1, (0, 0), "-1"))))

    assert ledger.wallet().carried_fraction == -1
    assert ledger.debit(debit(charge=metered(line(1, (1, 1), "1")))).amount_units == 0
    assert ledger.debit(debit(charge=metered(line(1, (2, 2), "1")))).amount_units == 1


def test_only_a_line_with_a_total_may_be_below_nothing() -> None:
    plain = ChargeLine("calls", 1, "1", "-1")

    assert isinstance(refused(soft(), metered(plain)), FieldMalformed)
    assert isinstance(refused(soft(), metered(plain, line(1, (0, 0), "2"))), FieldMalformed)
    assert isinstance(refused(soft(), metered(line(1, (0, 0), "--1"), total="-1")), FieldMalformed)


@pytest.mark.parametrize(("figure", "fits"), [("3", True), ("2.999", False), ("3.001", False)])
def test_the_parts_of_a_line_add_up_to_it(figure: str, fits: bool) -> None:
    ledger = soft()
    charge = metered(line(1, (0, 0), figure, parts=("5", "-2")))

    if fits:
        assert ledger.debit(debit(charge=charge)).amount_units == 3
    else:
        assert isinstance(refused(ledger, charge), ChargeInconsistent)


def test_what_is_refused_for_lack_of_credit_counts_nothing() -> None:
    ledger = book(open_wallet(), grant(1))

    with pytest.raises(InsufficientCredit):
        ledger.debit(debit(charge=metered(line(5, (0, 0), "2"))))

    assert ledger.wallet().totals == ()


def test_a_capture_is_priced_on_totals_and_counts() -> None:
    ledger = book(open_wallet(), grant(10))
    version = ledger.place(hold(5))

    with pytest.raises(TotalsStale):
        ledger.run(capture(version, charge=metered(line(4, (1, 1), "2"))))
    ledger.run(capture(version, charge=metered(line(4, (0, 0), "2"))))

    assert counted(ledger) == [(4, 1)]


def test_a_reversal_leaves_the_totals_as_they_are() -> None:
    ledger = book(open_wallet(), grant(10))
    ledger.debit(debit(charge=metered(line(4, (0, 0), "2"))))

    ledger.run(ledger.reversal(ledger.wallet().version))

    assert counted(ledger) == [(4, 1)]
    assert ledger.debit(debit(charge=metered(line(1, (4, 1), "1")))).amount_units == 1


@pytest.mark.parametrize(("quantity", "fits"), [(UNITS_MAX - 5, True), (UNITS_MAX - 4, False)])
def test_a_total_stays_in_range(quantity: int, fits: bool) -> None:
    ledger = soft()
    ledger.debit(debit(charge=metered(line(5, (0, 0)))))
    charge = metered(line(quantity, (5, 1)))

    if fits:
        ledger.debit(debit(charge=charge))
        assert counted(ledger) == [(UNITS_MAX, 2)]
    else:
        assert isinstance(refused(ledger, charge), AmountOutOfRange)


def test_a_wallet_counts_so_many_meters_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(totals_of, "METERS_MAX", 2)
    ledger = soft()
    ledger.debit(debit(charge=metered(line(1, (0, 0), meter="a"), line(1, (0, 0), meter="b"))))

    refusal = refused(ledger, metered(line(1, (0, 0), meter="c")))
    ledger.debit(debit(charge=metered(line(1, (1, 1), meter="a"))))

    assert isinstance(refusal, TotalsFull)
    assert counted(ledger, "a") == [(2, 2)]


def test_a_charge_recorded_before_wallets_counted_counts_nothing() -> None:
    total = RunningTotal(METER, 7, 2)
    old = Charge(
        "", "", "rateCards/llm/phases/1", "", (ChargeLine("calls", 1, "", "1", total_before=total),), "1"
    )

    assert totals_of.counted((), old, NOW) == ()


@pytest.mark.parametrize(
    "cycles",
    [
        (CycleTotals("", START, END, {METER: MeterTotal(-1, 1)}),),
        (CycleTotals("", START, END, {METER: MeterTotal(1, 0)}),),
        (CycleTotals("", END, END, {METER: MeterTotal(1, 1)}),),
        (CycleTotals("", START, END, {}), CycleTotals("", START, END, {})),
    ],
)
def test_totals_that_cannot_be_are_found(cycles: totals_of.Totals) -> None:
    assert totals_of.totals_are_sound((CycleTotals("", START, END, {METER: MeterTotal(0, 1)}),))
    assert not totals_of.totals_are_sound(cycles)
