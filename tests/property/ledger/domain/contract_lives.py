"""Random lives of contracts: what the real decisions record for two contracts on one wallet."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random

from ledger_service.domain.commands import AnyCommand, UpdateWallet, WithdrawRateCardPhase
from ledger_service.domain.events import Rate, WalletRules
from ledger_service.domain.refusals import Refusal
from ledger_service.domain.values import ChangeTiming, ShortfallMode
from tests.builders import (
    CONTRACT,
    PLAN,
    RATE_CARD,
    WALLET,
    Book,
    Recorded,
    after,
    agreed,
    change_plan,
    end_contract,
    extend_trial,
    plan_phase,
    publish_phase,
    publish_plan,
    schedule_phase,
    sign_contract,
)

CONTRACTS = (CONTRACT, "contracts/second")
PLANS = (PLAN, "plans/max", "plans/short")
MODES = tuple(ShortfallMode)
HOUR = timedelta(hours=1)


def begun() -> Book:
    """Return a book with three plans and no contract."""
    ledger = agreed(
        plan_phase("trial", duration="P3D"),
        plan_phase("intro", duration="P1M", mode=ShortfallMode.SOFT),
        plan_phase(),
    )
    big = plan_phase("big", mode=ShortfallMode.ADVANCE, overage_limit_units=7)
    ledger.run(publish_plan(plan_phase("trial", duration="P2D"), big, plan="plans/max"))
    ledger.run(publish_plan(plan_phase("once", duration="P5D", mode=ShortfallMode.SOFT), plan="plans/short"))
    return ledger


def lives(seed: int, *, steps: int = 25) -> Iterator[tuple[Book, list[Recorded], datetime]]:
    """Yield the book after each step that was not refused, with what it recorded and when."""
    random = Random(seed)
    ledger, now = begun(), after()
    for _ in range(steps):
        now += HOUR * random.choice([0, 1, 12, 30, 100])
        try:
            recorded = ledger.run(_command(random, now), now)
        except Refusal:
            continue
        yield ledger, recorded, now


def _command(random: Random, now: datetime) -> AnyCommand:
    contract, plan, mode = random.choice(CONTRACTS), random.choice(PLANS), random.choice(MODES)
    instant = now + random.choice([0, 1, 24, 60, 200, 900]) * HOUR
    terms = plan_phase(f"s{random.randrange(9)}", mode=mode, overage_limit_units=random.randrange(9))
    match random.randrange(9):
        case 0 | 1:
            start = now + random.choice([-30, 0, 24, 120, 400]) * HOUR
            return sign_contract(contract=contract, plan=plan, start_time=start)
        case 2 | 3:
            paths = random.sample(["key", "overage_limit_units", "shortfall_mode"], 2)
            replaces = random.random() < 0.4
            return schedule_phase(
                *paths, contract=contract, from_time=instant, replace_later=replaces, terms=terms
            )
        case 4:
            key = random.choice(["trial", "trial", "intro", terms.key])
            return extend_trial(instant, key=key, contract=contract)
        case 5:
            if random.random() < 0.3:
                return change_plan(contract=contract, plan=plan, timing=ChangeTiming.AT_CYCLE_END)
            takes = random.random() < 0.5
            return change_plan(contract=contract, plan=plan, from_time=instant, take_trial=takes)
        case 6:
            return end_contract(instant, contract=contract)
        case 7:
            return UpdateWallet(WALLET, ("shortfall_mode",), mode, 0, WalletRules())
        case _:
            if random.random() < 0.4:
                return WithdrawRateCardPhase(RATE_CARD, random.randrange(2, 6))
            return publish_phase(Rate("input_tokens", str(random.randrange(9))), from_time=instant)
