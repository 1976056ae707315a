"""Policies in the wallet view: what a run set, and what it took back that a contract had scheduled."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from ledger_service.projections.events.wallet_events import PolicyChanged


class PolicyAt(msgspec.Struct, frozen=True, gc=False):
    """A policy that was set in the run."""

    policy_version: int
    effective_time: datetime
    policy: PolicyChanged
    own: bool = False
    """The wallet itself was told; no contract, nor its end, brought it."""


class Replacement(msgspec.Struct, frozen=True, gc=False):
    """From here on, nothing holds that the contract had brought before this version."""

    policy_version: int
    from_time: datetime
    contract: str


def replacement_of(policy: PolicyChanged, version: int, from_time: datetime) -> Replacement:
    """Return what a policy that replaces later ones takes back."""
    return Replacement(version, from_time, policy.contract or policy.ended_contract)


def without_replaced(policies: Sequence[PolicyAt], replacement: Replacement) -> list[PolicyAt]:
    """Return the policies that still hold. An end without a name is of a wallet with one contract for ever."""
    return [
        each
        for each in policies
        if each.own
        or each.effective_time < replacement.from_time
        or (each.policy.contract or each.policy.ended_contract) not in ("", replacement.contract)
    ]
