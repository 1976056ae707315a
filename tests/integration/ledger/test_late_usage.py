"""Late usage inside a wallet's grace, over a real channel."""

from __future__ import annotations

from datetime import timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from credits.ledger.v1 import history_service_pb2, wallet_pb2, wallet_rules_pb2, wallet_service_pb2
from tests.integration.ledger.client import CALL_SECONDS, Client, key, refusal, timestamp
from tests.integration.ledger.holds.calls import reverse

MICROSECOND = timedelta(microseconds=1)
MINUTE = timedelta(minutes=1)
GRACE = 2 * MINUTE


async def graced(client: Client, grace: timedelta) -> str:
    """Open a wallet and give it a grace."""
    wallet = await client.open_wallet()
    duration = Duration()
    duration.FromTimedelta(grace)
    request = wallet_service_pb2.UpdateWalletRequest(
        wallet=wallet_pb2.Wallet(name=wallet, rules=wallet_rules_pb2.WalletRules(late_usage_grace=duration)),
        update_mask=FieldMask(paths=["rules.late_usage_grace"]),
        idempotency_key=key(),
    )
    await client.wallets.UpdateWallet(request, timeout=CALL_SECONDS)
    return wallet


async def test_a_late_debit_draws_on_an_expired_grant_and_a_retry_is_told_the_same(sandbox: Client) -> None:
    wallet = await graced(sandbox, GRACE)
    end = await sandbox.clock() + MINUTE
    grant = (await sandbox.grant(wallet, 10, expire_time=timestamp(end))).grant.name
    await sandbox.advance(end + MINUTE)
    before = await sandbox.balance(wallet)
    debit_key, used = key(), timestamp(end - MICROSECOND)

    first = await sandbox.debit(wallet, 4, effective_time=used, idempotency_key=debit_key)
    again = await sandbox.debit(wallet, 4, effective_time=used, idempotency_key=debit_key)

    assert (before.expired_units, before.debited_units) == (10, 0)
    assert [(each.grant, each.amount_units) for each in first.debit.draws] == [(grant, 4)]
    assert list(first.debit.late_grants) == [grant]
    assert (list(again.debit.late_grants), again.replayed) == ([grant], True)
    after = await sandbox.balance(wallet)
    assert (after.available_units, after.expired_units, after.debited_units) == (0, 6, 4)
    await reverse(sandbox, first.debit.name, amount_units=1)
    assert (await sandbox.balance(wallet)).expired_units == 7


async def test_when_the_grace_is_over_late_usage_is_refused(sandbox: Client) -> None:
    wallet = await graced(sandbox, GRACE)
    end = await sandbox.clock() + MINUTE
    await sandbox.grant(wallet, 10, expire_time=timestamp(end))
    await sandbox.advance(end + GRACE)

    refused = await refusal(sandbox.debit(wallet, 1, effective_time=timestamp(end - MICROSECOND)))

    assert (refused.reason, refused.metadata["available_units"]) == ("INSUFFICIENT_CREDIT", "0")


async def test_a_replay_shows_late_usage_on_both_clocks(sandbox: Client) -> None:
    wallet = await graced(sandbox, GRACE)
    end = await sandbox.clock() + MINUTE
    await sandbox.grant(wallet, 10, expire_time=timestamp(end))
    await sandbox.advance(end + MINUTE)
    used = end - MICROSECOND
    debit = (await sandbox.debit(wallet, 4, effective_time=timestamp(used))).debit
    recorded = debit.record_time.ToDatetime(tzinfo=end.tzinfo)

    async def replay(**instants: Timestamp) -> tuple[int, int, int]:
        request = history_service_pb2.ReplayWalletRequest(name=wallet, **instants)
        balance = (await sandbox.history.ReplayWallet(request, timeout=CALL_SECONDS)).balance
        return balance.posted_units, balance.debited_units, balance.expired_units

    assert await replay(as_of_effective_time=timestamp(used)) == (6, 4, 0)
    assert await replay(as_of_effective_time=timestamp(end)) == (0, 4, 6)
    assert await replay(as_of_record_time=timestamp(recorded - MICROSECOND)) == (0, 0, 10)
    assert await replay(as_of_record_time=timestamp(recorded)) == (0, 4, 6)
