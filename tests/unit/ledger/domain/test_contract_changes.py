"""Changes of a contract: each takes effect at an instant that is not past, and nothing earlier moves."""

from datetime import UTC, datetime

import msgspec
import pytest

from ledger_service.application.reading.statement_texts import describe
from ledger_service.domain.agreement.contract import Contract
from ledger_service.domain.agreement.contract_changes import SCHEDULED_MAX
from ledger_service.domain.commands import AnyCommand, UpdateWallet
from ledger_service.domain.events import PlanChanged, PlanPhase, WalletPolicyChanged, WalletRules
from ledger_service.domain.refusals import (
    AssetMismatch,
    ContractChanged,
    ContractExists,
    ContractNotFound,
    ContractNotInForce,
    ExtensionNotLater,
    FieldMalformed,
    FieldNotAllowed,
    FieldRequired,
    FieldTooLong,
    NumberOutOfRange,
    PhaseInPast,
    PhaseIsLast,
    PhaseNotFound,
    PhaseOverlaps,
    PlanNotFound,
    PolicyByContract,
    RateCardNotFound,
    Refusal,
)
from ledger_service.domain.values import Asset, ChangeTiming, ShortfallMode
from ledger_service.domain.wallet.state import Binding, bindings, policy_at
from tests.bills import record_invoice
from tests.builders import (
    CONTRACT,
    PLAN,
    WALLET,
    Book,
    after,
    agreed,
    change_plan,
    create_rate_card,
    end_contract,
    events_of,
    extend_trial,
    open_wallet,
    plan_phase,
    publish_plan,
    schedule_phase,
    sign_contract,
)

HARD, SOFT, ADVANCE = ShortfallMode.HARD, ShortfallMode.SOFT, ShortfallMode.ADVANCE
SECOND = "contracts/second"
TOKEN = Asset("TOKEN", 0)


def running(*phases: PlanPhase, start_time: datetime | None = None) -> Book:
    """Return a book with a contract from now on: a trial of 14 days, an intro of 10, then standard, all HARD."""
    ledger = agreed(
        *(
            phases
            or (plan_phase("trial", duration="P14D"), plan_phase("intro", duration="P10D"), plan_phase())
        )
    )
    ledger.run(
        publish_plan(plan_phase("taste", duration="P7D"), plan_phase("big", mode=SOFT), plan="plans/max")
    )
    ledger.run(sign_contract(start_time=start_time or after()))
    return ledger


def contract_of(ledger: Book, name: str = CONTRACT) -> Contract:
    """Return a contract's state."""
    contract = ledger.states[name]
    assert isinstance(contract, Contract)
    return contract


def spans(ledger: Book) -> list[tuple[str, int, int | None]]:
    """Return the contract's phases: key, first day and first day after it, counted from now."""
    return [
        (
            phase.terms.key,
            (phase.from_time - after()).days,
            None if phase.to_time is None else (phase.to_time - after()).days,
        )
        for phase in contract_of(ledger).phases
    ]


def policy(ledger: Book, instant: datetime) -> tuple[str, str, ShortfallMode]:
    """Return what decides the wallet's shortfall at an instant."""
    found = policy_at(ledger.wallet(), instant)
    return found.contract, found.contract_phase, found.shortfall_mode


@pytest.mark.parametrize(("expected", "is_fine"), [(0, True), (1, False), (2, True), (3, False)])
def test_a_plan_is_changed_only_if_the_contract_is_what_the_caller_saw(expected: int, is_fine: bool) -> None:
    ledger = running()
    ledger.run(schedule_phase("key", from_time=after(days=3)))
    ledger.run(record_invoice(5))
    command = msgspec.structs.replace(change_plan(), expected_change_version=expected)

    assert contract_of(ledger).change_version == 2
    if is_fine:
        assert ledger.run(command)
    else:
        with pytest.raises(ContractChanged) as refused:
            ledger.run(command)
        assert refused.value.metadata == {"change_version": "2"}


# Scheduling


def test_a_scheduled_phase_lasts_as_long_as_the_one_in_force_would_have() -> None:
    ledger = running()

    ledger.run(schedule_phase("key", "shortfall_mode", from_time=after(days=16)))

    assert spans(ledger) == [("trial", 0, 14), ("intro", 14, 16), ("dear", 16, 24), ("standard", 24, None)]


def test_a_scheduled_phase_may_take_the_place_of_all_later_ones() -> None:
    ledger = running()

    recorded = ledger.run(schedule_phase("key", from_time=after(days=3), replace_later=True))

    assert spans(ledger) == [("trial", 0, 3), ("dear", 3, None)]
    assert events_of(recorded)[1:] == [WalletPolicyChanged(CONTRACT, "dear", HARD, replaces_later=True)]
    assert policy(ledger, after(days=30)) == (CONTRACT, "dear", HARD)


def test_a_phase_that_begins_with_another_takes_its_place() -> None:
    ledger = running()

    ledger.run(schedule_phase("key", from_time=after(days=14)))

    assert spans(ledger) == [("trial", 0, 14), ("dear", 14, 24), ("standard", 24, None)]


@pytest.mark.parametrize(
    ("instant", "expected"),
    [
        (after(days=16, microseconds=-1), ("intro", HARD)),
        (after(days=16), ("intro", SOFT)),
        (after(days=24, microseconds=-1), ("intro", SOFT)),
        (after(days=24), ("standard", HARD)),
    ],
)
def test_the_wallet_follows_a_scheduled_phase_to_the_microsecond(
    instant: datetime, expected: tuple[str, ShortfallMode]
) -> None:
    ledger = running()

    ledger.run(schedule_phase("shortfall_mode", from_time=after(days=16)))

    assert policy(ledger, instant)[1:] == expected


def test_only_what_is_named_differs() -> None:
    ledger = running(plan_phase(mode=SOFT, overage_limit_units=9))
    terms = msgspec.structs.replace(plan_phase("other", mode=HARD), included_units=5, features=("chat",))

    ledger.run(schedule_phase("features", "included_units", terms=terms))

    (phase,) = contract_of(ledger).phases
    assert phase.terms == msgspec.structs.replace(
        plan_phase(mode=SOFT, overage_limit_units=9), included_units=5, features=("chat",)
    )


@pytest.mark.parametrize(("microseconds", "is_fine"), [(-1, False), (0, True)])
def test_a_phase_begins_now_or_later(microseconds: int, is_fine: bool) -> None:
    ledger = running()
    command = schedule_phase(from_time=after(days=1, microseconds=microseconds))

    if is_fine:
        assert ledger.run(command, after(days=1))
    else:
        with pytest.raises(PhaseInPast) as refused:
            ledger.run(command, after(days=1))
        assert refused.value.field == "from_time"


@pytest.mark.parametrize(
    ("instant", "is_fine"),
    [
        (after(days=1, microseconds=-1), False),
        (after(days=1), True),
        (after(days=15, microseconds=-1), True),
        (after(days=15), False),
    ],
)
def test_a_phase_begins_while_the_contract_is_in_force(instant: datetime, is_fine: bool) -> None:
    ledger = running(plan_phase(duration="P14D"), start_time=after(days=1))

    if is_fine:
        assert ledger.run(schedule_phase(from_time=instant))
    else:
        with pytest.raises(ContractNotInForce) as refused:
            ledger.run(schedule_phase(from_time=instant))
        assert refused.value.field == "from_time"


@pytest.mark.parametrize(
    ("paths", "terms", "refusal", "field"),
    [
        ((), plan_phase(), FieldRequired, "update_mask"),
        (("duration",), plan_phase(duration="P1D"), FieldMalformed, "update_mask"),
        (("key",), plan_phase("A"), FieldMalformed, "terms.key"),
        (("rate_card",), plan_phase(rate_card="rateCards/none"), RateCardNotFound, "terms.rate_card"),
        (("rate_card",), plan_phase(rate_card="rateCards/tokens"), AssetMismatch, "terms.rate_card"),
        (
            ("overage_limit_units",),
            plan_phase(overage_limit_units=-1),
            NumberOutOfRange,
            "terms.overage_limit_units",
        ),
    ],
)
def test_terms_that_no_phase_can_have_are_refused_by_name(
    paths: tuple[str, ...], terms: PlanPhase, refusal: type[Refusal], field: str
) -> None:
    ledger = running()
    ledger.run(create_rate_card(rate_card="rateCards/tokens", asset=TOKEN))
    command = msgspec.structs.replace(schedule_phase(terms=terms), paths=paths)

    with pytest.raises(refusal) as refused:
        ledger.run(command)

    assert refused.value.field == field


def test_a_contract_takes_so_many_scheduled_phases_and_no_more() -> None:
    ledger = running(plan_phase())
    times = tuple(after(microseconds=number) for number in range(SCHEDULED_MAX - 1))
    ledger.states[CONTRACT] = msgspec.structs.replace(contract_of(ledger), scheduled_times=times)
    ledger.run(schedule_phase(from_time=after(days=1)))

    for command in (schedule_phase(from_time=after(days=2)), change_plan(from_time=after(days=2))):
        with pytest.raises(FieldTooLong) as refused:
            ledger.run(command)
        assert refused.value.field == "name"


# Trials


def test_phases_begin_where_an_extended_trial_ends_their_durations_counted_anew() -> None:
    ledger = running(
        plan_phase("trial", duration="P14D"), plan_phase("intro", duration="P1M"), plan_phase(mode=SOFT)
    )

    ledger.run(extend_trial(after(days=20)), after(days=3))

    # March has 31 days.
    assert spans(ledger) == [("trial", 0, 20), ("intro", 20, 51), ("standard", 51, None)]
    assert policy(ledger, after(days=51, microseconds=-1)) == (CONTRACT, "intro", HARD)
    assert policy(ledger, after(days=51)) == (CONTRACT, "standard", SOFT)


def test_an_end_that_follows_from_the_phases_moves_with_them() -> None:
    ledger = running(plan_phase("trial", duration="P14D"), plan_phase(duration="P10D"))

    ledger.run(extend_trial(after(days=15)))

    assert spans(ledger) == [("trial", 0, 15), ("standard", 15, 25)]
    assert policy(ledger, after(days=25, microseconds=-1))[0] == CONTRACT
    assert policy(ledger, after(days=25))[0] == ""


@pytest.mark.parametrize(("microseconds", "is_fine"), [(0, False), (1, True)])
def test_a_trial_is_never_shortened(microseconds: int, is_fine: bool) -> None:
    ledger = running()
    command = extend_trial(after(days=14, microseconds=microseconds))

    if is_fine:
        assert ledger.run(command)
    else:
        with pytest.raises(ExtensionNotLater) as refused:
            ledger.run(command)
        assert refused.value.field == "end_time"


@pytest.mark.parametrize(("microseconds", "is_fine"), [(-1, True), (0, False)])
def test_a_trial_is_extended_while_it_is_in_force(microseconds: int, is_fine: bool) -> None:
    ledger = running()
    now = after(days=14, microseconds=microseconds)

    if is_fine:
        assert ledger.run(extend_trial(after(days=20)), now)
    else:
        with pytest.raises(PhaseInPast) as refused:
            ledger.run(extend_trial(after(days=20)), now)
        assert refused.value.field == "key"


@pytest.mark.parametrize(("key", "refusal"), [("standard", PhaseIsLast), ("none", PhaseNotFound)])
def test_only_a_phase_that_another_follows_is_a_trial(key: str, refusal: type[Refusal]) -> None:
    with pytest.raises(refusal) as refused:
        running().run(extend_trial(after(days=90), key=key))

    assert refused.value.field == "key"


@pytest.mark.parametrize(("microseconds", "is_fine"), [(-1, True), (0, False)])
@pytest.mark.parametrize(
    "fixes", [schedule_phase("key", from_time=after(days=30)), end_contract(after(days=30))]
)
def test_what_was_agreed_for_an_instant_keeps_it(fixes: AnyCommand, microseconds: int, is_fine: bool) -> None:
    ledger = running()
    ledger.run(fixes)
    command = extend_trial(after(days=30, microseconds=microseconds))

    if is_fine:
        ledger.run(command)
        assert [phase.terms.key for phase in contract_of(ledger).phases][:2] == ["trial", "intro"]
        assert contract_of(ledger).phases[1].to_time == after(days=30)
    else:
        with pytest.raises(PhaseOverlaps) as refused:
            ledger.run(command)
        assert refused.value.field == "end_time"


def test_months_that_end_sooner_when_counted_anew_leave_no_gap() -> None:
    month = plan_phase("intro", duration="P1M")
    start = datetime(2027, 1, 31, tzinfo=UTC)
    ledger = running(plan_phase("trial", duration="P1M"), month, plan_phase(), start_time=start)
    ledger.run(end_contract(datetime(2027, 3, 31, tzinfo=UTC)))

    # Counted from 31 January the month ends on 31 March, from 28 February on the 28th.
    new_end = datetime(2027, 2, 28, 1, tzinfo=UTC)
    ledger.run(extend_trial(new_end))

    (_, intro) = contract_of(ledger).phases
    assert (intro.from_time, intro.to_time) == (new_end, datetime(2027, 3, 31, tzinfo=UTC))


def test_a_wallet_holds_one_policy_of_a_trial_however_often_it_is_extended() -> None:
    ledger = running()

    for days in range(15, 40):
        ledger.run(extend_trial(after(days=days)), after(days=days - 2))

    assert [each.contract_phase for each in ledger.wallet().policies] == ["", "trial", "intro", "standard"]
    assert policy(ledger, after(days=39, microseconds=-1))[1] == "trial"
    assert policy(ledger, after(days=39))[1] == "intro"


# Plans


def test_another_plan_takes_the_place_of_all_phases_from_its_instant_without_its_trial() -> None:
    ledger = running()
    ledger.run(schedule_phase("key", from_time=after(days=20)))

    event = ledger.answer(change_plan(plan="plans/max"), after(days=3)).event

    assert spans(ledger) == [("trial", 0, 3), ("big", 3, None)]
    assert isinstance(event, PlanChanged)
    assert (event.previous_plan, event.previous_plan_version, event.previous_terms.key) == (PLAN, 1, "trial")
    assert (contract_of(ledger).plan, contract_of(ledger).plan_version) == ("plans/max", 1)
    assert policy(ledger, after(days=3, microseconds=-1)) == (CONTRACT, "trial", HARD)
    assert policy(ledger, after(days=3)) == (CONTRACT, "big", SOFT)
    assert policy(ledger, after(days=20)) == (CONTRACT, "big", SOFT)


def test_a_plans_trial_is_taken_if_it_is_asked_for_or_if_there_is_nothing_else() -> None:
    ledger = running()
    ledger.run(change_plan(plan="plans/max", from_time=after(days=5), take_trial=True))
    assert spans(ledger) == [("trial", 0, 5), ("taste", 5, 12), ("big", 12, None)]

    ledger.run(publish_plan(plan_phase("only")))
    ledger.run(change_plan(from_time=after(days=6)))
    assert spans(ledger) == [("trial", 0, 5), ("taste", 5, 6), ("only", 6, None)]


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (after(days=31, microseconds=-1), after(days=31)),
        (after(days=31), after(days=61)),
    ],
)
def test_a_plan_changes_at_the_end_of_the_cycle(now: datetime, expected: datetime) -> None:
    ledger = running(plan_phase())

    ledger.run(change_plan(plan="plans/max", timing=ChangeTiming.AT_CYCLE_END), now)

    assert contract_of(ledger).phases[-1].from_time == expected


def test_a_plan_changes_at_the_end_of_the_first_cycle_of_a_contract_that_has_not_begun() -> None:
    ledger = running(plan_phase(), start_time=after(days=40))

    ledger.run(change_plan(plan="plans/max", timing=ChangeTiming.AT_CYCLE_END))

    # Monthly from 10 April.
    assert contract_of(ledger).phases[-1].from_time == after(days=70)


def test_another_plan_keeps_the_end_that_was_asked_for() -> None:
    ledger = running()
    ledger.run(end_contract(after(days=30)))

    ledger.run(change_plan(plan="plans/max", from_time=after(days=2)))

    assert spans(ledger) == [("trial", 0, 2), ("big", 2, 30)]
    assert policy(ledger, after(days=30))[0] == ""


@pytest.mark.parametrize(
    ("command", "refusal", "field"),
    [
        (change_plan(plan="plans/none"), PlanNotFound, "plan"),
        (msgspec.structs.replace(change_plan(), plan_version=2), PlanNotFound, "plan_version"),
        (msgspec.structs.replace(change_plan(), plan_version=-1), PlanNotFound, "plan_version"),
        (change_plan(plan="plans/tokens"), AssetMismatch, "plan"),
        (change_plan(from_time=after(microseconds=-1)), PhaseInPast, "from_time"),
        (
            change_plan(timing=ChangeTiming.AT_CYCLE_END, from_time=after(days=1)),
            FieldNotAllowed,
            "from_time",
        ),
    ],
)
def test_a_change_of_plan_that_cannot_be_is_refused_by_name(
    command: AnyCommand, refusal: type[Refusal], field: str
) -> None:
    ledger = running()
    ledger.run(create_rate_card(rate_card="rateCards/tokens", asset=TOKEN))
    ledger.run(publish_plan(plan_phase(rate_card="rateCards/tokens"), plan="plans/tokens", asset=TOKEN))

    with pytest.raises(refusal) as refused:
        ledger.run(command)

    assert refused.value.field == field


# Ends


@pytest.mark.parametrize(
    ("instant", "contract"),
    [(after(days=3, microseconds=-1), CONTRACT), (after(days=3), ""), (after(days=90), "")],
)
def test_where_a_contract_was_ended_the_wallets_own_policy_applies(instant: datetime, contract: str) -> None:
    ledger = running()

    recorded = ledger.run(end_contract(after(days=3)))

    assert spans(ledger) == [("trial", 0, 3)]
    assert policy(ledger, instant)[0] == contract
    assert describe(recorded[-1].fact.event).description == (
        f"{CONTRACT} ended, shortfall HARD; what it had scheduled later no longer holds"
    )


@pytest.mark.parametrize(("microseconds", "is_fine"), [(-1, False), (0, True)])
def test_a_contract_ends_now_or_later(microseconds: int, is_fine: bool) -> None:
    ledger = running()
    command = end_contract(after(days=1, microseconds=microseconds))

    if is_fine:
        assert ledger.run(command, after(days=1))
    else:
        with pytest.raises(PhaseInPast) as refused:
            ledger.run(command, after(days=1))
        assert refused.value.field == "end_time"


@pytest.mark.parametrize(("microseconds", "is_fine"), [(-1, True), (0, False)])
def test_an_end_only_comes_sooner(microseconds: int, is_fine: bool) -> None:
    ledger = running()
    ledger.run(end_contract(after(days=30)))
    command = end_contract(after(days=30, microseconds=microseconds))

    if is_fine:
        assert ledger.run(command)
    else:
        with pytest.raises(ContractNotInForce) as refused:
            ledger.run(command)
        assert refused.value.field == "end_time"


@pytest.mark.parametrize("end_days", [2, 5])
def test_a_contract_that_is_ended_by_its_start_never_begins(end_days: int) -> None:
    ledger = running(start_time=after(days=5))

    ledger.run(end_contract(after(days=end_days)))

    assert spans(ledger) == []
    assert bindings(ledger.wallet()) == []
    with pytest.raises(ContractNotInForce):
        ledger.run(end_contract(after(days=end_days)))
    assert ledger.run(sign_contract(contract=SECOND))


@pytest.mark.parametrize(("microseconds", "is_fine"), [(-1, False), (0, True)])
def test_a_wallet_takes_another_contract_where_the_first_ends(microseconds: int, is_fine: bool) -> None:
    ledger = running()
    ledger.run(end_contract(after(days=3)))
    command = sign_contract(contract=SECOND, start_time=after(days=3, microseconds=microseconds))

    if is_fine:
        ledger.run(command)
        assert bindings(ledger.wallet()) == [
            Binding(CONTRACT, after(), after(days=3)),
            Binding(SECOND, after(days=3)),
        ]
        assert policy(ledger, after(days=3))[0] == SECOND
    else:
        with pytest.raises(ContractExists) as refused:
            ledger.run(command)
        assert refused.value.field == "contract.wallet"


@pytest.mark.parametrize(("days", "is_fine"), [(5, True), (6, False)])
def test_a_wallet_takes_a_contract_that_ends_where_another_begins(days: int, is_fine: bool) -> None:
    ledger = running(start_time=after(days=5))
    ledger.run(publish_plan(plan_phase("short", duration=f"P{days}D"), plan="plans/short"))
    command = sign_contract(contract=SECOND, plan="plans/short")

    if is_fine:
        ledger.run(command)
        assert policy(ledger, after(days=5, microseconds=-1))[0] == SECOND
        assert policy(ledger, after(days=5))[0] == CONTRACT
    else:
        with pytest.raises(ContractExists):
            ledger.run(command)


@pytest.mark.parametrize(
    ("command", "field"),
    [
        (extend_trial(after(days=16), contract=SECOND), "end_time"),
        (change_plan(plan="plans/max", contract=SECOND), "plan"),
    ],
)
def test_a_contract_does_not_grow_into_another_one(command: AnyCommand, field: str) -> None:
    ledger = running(start_time=after(days=20))
    ledger.run(
        publish_plan(plan_phase("trial", duration="P15D"), plan_phase(duration="P5D"), plan="plans/short")
    )
    ledger.run(sign_contract(contract=SECOND, plan="plans/short"))

    with pytest.raises(ContractExists) as refused:
        ledger.run(command)

    assert refused.value.field == field


def test_an_end_of_one_contract_leaves_another_alone() -> None:
    ledger = running(plan_phase(duration="P20D"))
    ledger.run(sign_contract(contract=SECOND, start_time=after(days=20), plan="plans/max"))

    ledger.run(end_contract(after(days=2)))

    assert policy(ledger, after(days=2))[0] == ""
    assert policy(ledger, after(days=20, microseconds=-1))[0] == ""
    assert policy(ledger, after(days=20))[:2] == (SECOND, "taste")
    ledger.run(end_contract(after(days=10), contract=SECOND))
    assert bindings(ledger.wallet()) == [Binding(CONTRACT, after(), after(days=2))]


def test_after_a_contract_the_wallet_has_the_policy_that_it_was_told_last() -> None:
    ledger = running(start_time=after(days=5))
    ledger.run(end_contract(after(days=9)))
    ledger.run(update_shortfall(ADVANCE), after(days=1))

    with pytest.raises(PolicyByContract):
        ledger.run(update_shortfall(SOFT), after(days=5))

    assert policy(ledger, after(days=5))[0] == CONTRACT
    assert policy(ledger, after(days=9)) == ("", "", ADVANCE)


def test_what_the_wallet_was_told_does_not_break_a_contract_that_began_before() -> None:
    ledger = agreed(mode=HARD)
    ledger.run(update_shortfall(ADVANCE), after(days=2))
    ledger.run(sign_contract(start_time=after(days=1)), after(days=3))

    assert policy(ledger, after(days=2)) == (CONTRACT, "standard", HARD)
    assert policy(ledger, after(days=3)) == (CONTRACT, "standard", HARD)


def test_an_end_that_was_recorded_without_a_name_is_replaced_with_the_rest_of_its_contract() -> None:
    ledger = running(plan_phase(duration="P14D"))
    wallet = ledger.wallet()
    old = tuple(msgspec.structs.replace(each, ended_contract="") for each in wallet.policies)
    ledger.states[WALLET] = msgspec.structs.replace(wallet, policies=old)
    assert policy(ledger, after(days=14, microseconds=-1))[0] == CONTRACT
    assert policy(ledger, after(days=14))[0] == ""

    ledger.run(change_plan(plan="plans/max"), after(days=1))

    assert policy(ledger, after(days=14))[:2] == (CONTRACT, "big")
    assert bindings(ledger.wallet()) == [Binding(CONTRACT, after())]


def update_shortfall(mode: ShortfallMode) -> AnyCommand:
    """Return an update of the wallet's own policy."""
    return UpdateWallet(WALLET, ("shortfall_mode",), mode, 0, WalletRules())


@pytest.mark.parametrize(
    "command", [schedule_phase(), extend_trial(after(days=20)), change_plan(), end_contract()]
)
def test_a_contract_that_does_not_exist_cannot_be_changed(command: AnyCommand) -> None:
    with pytest.raises(ContractNotFound) as refused:
        agreed().run(command)

    assert refused.value.field == "name"


def test_the_policies_of_another_wallet_stay() -> None:
    ledger = running()
    ledger.run(open_wallet(wallet="wallets/other"))
    ledger.run(sign_contract(contract=SECOND, wallet="wallets/other"))
    before = ledger.states["wallets/other"]

    ledger.run(end_contract())

    assert ledger.states["wallets/other"] == before
