"""How a recognition case may spell what it says: one name for each field and each kind of event.

The case files do not fix every word, so whatever means one thing only is read. A word that is not here stays as it is
and is reported by its name. Where a case says a thing twice, the first name is read and the other one stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tests.acceptance.cases.verdicts import Unsupported

Synonyms = Mapping[str, Sequence[str]]

EVENT: Final[Synonyms] = {
    "type": ("kind", "op", "event_type", "event"),
    "t": ("at", "date", "on", "time", "when", "timestamp", "event_date"),
    "id": ("event_id", "key"),
    "lot": ("lot_id", "from_lot", "source_lot"),
    "lots": ("lot_ids",),
}
"""Of every event."""
ESTIMATE: Final[Synonyms] = {
    "expected_breakage": (
        *("breakage", "breakage_rate", "breakage_estimate", "expected_breakage_rate", "breakage_percentage"),
        *("new_expected_breakage", "new_breakage", "estimate", "new_estimate"),
    ),
    "expected_redeemed_units": (
        *("expected_redemption", "expected_redemptions", "expected_units", "expected_used_units"),
        *("new_expected_redeemed_units", "expected_redeemed"),
    ),
}
POOL: Final[Synonyms] = {"pool": ("cohort", "breakage_pool", "pool_id", "cohort_id", "portfolio")}
RATE: Final[Synonyms] = {"fx_rate": ("exchange_rate", "fx", "spot_rate", "conversion_rate", "rate")}
QUANTITY: Final[Synonyms] = {"units": ("quantity", "qty", "credits", "amount_units", "points")}
BY_KIND: Final[Mapping[str, Sequence[Synonyms]]] = {
    "grant": (
        QUANTITY,
        ESTIMATE,
        POOL,
        RATE,
        {
            "consideration": ("price", "paid", "cash", "transaction_price", "purchase_price", "net_amount"),
            "expires": ("expiry", "expires_at", "expires_on", "expire", "expiration", "expiry_date"),
            "tax": ("sales_tax", "vat", "tax_amount"),
            "bonus_units": ("bonus", "bonus_credits", "free_units"),
            "category": ("lot_category", "source", "origin"),
            "breakage_method": ("method",),
            "standalone_price": ("ssp", "standalone_selling_price", "credit_ssp"),
            "bundle": ("bundled", "bundle_items", "obligations", "performance_obligations", "streams"),
        },
    ),
    "debit": (
        QUANTITY,
        {
            "units": ("amount",),
            "effective": (
                *("effective_at", "effective_date", "usage_date", "used_at", "used_on", "occurred_at"),
                *("occurred", "event_time", "service_date", "delivered_at", "for_date", "usage_time"),
            ),
            "recorded": (
                *("recorded_at", "recorded_on", "recorded_date", "reported_at", "reported", "received_at"),
                *("received", "posted", "posted_at", "booked", "booked_at", "arrived_at", "known_at"),
            ),
            "overage_price": ("overage_rate", "overage_unit_price", "overage_unit_amount"),
            "product": ("feature", "model", "meter", "stream"),
        },
    ),
    "overage": (
        QUANTITY,
        {
            "overage_price": (
                "overage_rate",
                "overage_unit_price",
                "unit_price",
                "price",
                "rate",
                "unit_amount",
            )
        },
    ),
    "estimate": (ESTIMATE, POOL),
    "pool": (ESTIMATE, {"escheat_fraction": ("escheat",), "jurisdiction": ("state",)}),
    "refund": (
        QUANTITY,
        RATE,
        {"credit_account": ("account", "to", "pay_from"), "amount": ("refund_amount", "money")},
    ),
    "settlement": ({"refund": ("of", "ref", "refund_id", "settles")},),
    "roll_over": (
        QUANTITY,
        {
            "new_expires": (
                "expires",
                "new_expiry",
                "expiry",
                "until",
                "to_date",
                "new_expires_at",
                "expires_at",
            ),
            "new_lot": ("new_lot_id", "to_lot", "into", "into_lot", "target", "target_lot", "new_id", "to"),
            "units": ("carry", "carry_units", "carried_units", "cap", "max_units", "rolled_units", "max"),
        },
    ),
    "end": (QUANTITY, {"units": ("amount",)}),
    "reversal": (
        QUANTITY,
        {
            "debit": (
                *("of", "ref", "reverses", "debit_id", "original", "original_debit", "usage", "target"),
                *("event", "reversed", "original_event", "reference"),
            ),
            "units": ("amount",),
        },
    ),
    "escheat": ({"fraction": ("escheat_fraction", "share", "rate", "percent_of_unused", "ratio")},),
    "bill": (
        {
            "amount": ("consideration", "fee", "price", "net", "total"),
            "from": ("start", "service_from", "from_time", "period_start", "service_start", "starts"),
            "to": ("end", "service_to", "to_time", "period_end", "service_end", "ends", "until"),
            "tax": ("sales_tax", "vat", "tax_amount"),
            "committed": (
                "commitment",
                "commitment_amount",
                "minimum",
                "minimum_commitment",
                "committed_amount",
            ),
            "used": ("consumed", "usage", "billed", "actual", "used_amount"),
            "units": ("quantity", "qty"),
        },
    ),
    "close": ({"to": ("through", "until", "period_end"), "from": ("period_start",)},),
    "rate": (RATE, {"fx_rate": ("value", "price"), "currency": ("from", "pair", "code")}),
}
"""Of the events of a kind, by the kind's name in `KINDS`."""
KINDS: Final[Mapping[str, Sequence[str]]] = {
    "grant": (
        *(
            "grant",
            "purchase",
            "sale",
            "sell",
            "top_up",
            "topup",
            "prepayment",
            "prepaid",
            "prepaid_commitment",
        ),
        *("promo", "promotional", "promo_grant", "promotional_grant", "promotional_credit", "free_grant"),
        *("bonus", "bonus_grant", "commit", "buy"),
    ),
    "debit": (
        *("debit", "usage", "use", "draw", "redeem", "redemption", "consume", "consumption"),
        *("late_usage", "late_debit", "late"),
    ),
    "overage": ("overage", "usage_overage", "overage_usage", "over_usage"),
    "estimate": (
        *("estimate", "estimate_revision", "estimate_change", "revise", "revise_estimate", "revision"),
        *("breakage_estimate", "re_estimate", "reestimate", "estimate_revised"),
    ),
    "pool": ("pool", "cohort", "create_pool", "breakage_pool"),
    "refund": ("refund", "refund_request", "refund_requested"),
    "settlement": (
        *("refund_settle", "refund_settled", "refund_settlement", "refund_paid", "refund_payment"),
        *("settle_refund", "settle", "settlement", "pay_refund"),
    ),
    "roll_over": (
        *("rollover", "roll_over", "extend", "extension", "extend_expiry", "expiry_extension"),
        *("extend_grant", "carry_over", "carryover"),
    ),
    "end": ("expire_units", "expire", "expiry", "forfeit", "forfeiture", "lapse"),
    "reversal": ("reversal", "reverse", "reverse_debit", "debit_reversal", "usage_reversal", "undo"),
    "escheat": ("escheat", "escheatment", "unclaimed_property", "remit"),
    "remote": ("remote", "declare_remote", "remote_breakage", "becomes_remote"),
    "invoice": (
        *("invoice", "invoice_overage", "overage_invoice", "bill", "bill_overage", "invoice_issued"),
        "overage_invoiced",
    ),
    "plan": (
        *("subscription", "base_fee", "plan_fee", "fee", "rateable", "ratable", "plan", "rateable_plan"),
        *("ratable_plan", "rateable_fee", "ratable_fee", "straight_line", "subscription_fee"),
    ),
    "shortfall": (
        *("shortfall", "commitment_shortfall", "true_up", "commitment_true_up", "minimum_commitment"),
        *("commitment", "shortfall_invoice", "trueup"),
    ),
    "chargeback": ("chargeback", "charge_back", "dispute_lost"),
    "close": ("close", "close_period", "period_close", "lock", "close_accounting_period"),
    "rate": ("fx", "fx_rate", "rate", "exchange_rate", "rate_change", "fx_change", "spot_rate"),
}
KIND_OF: Final[Mapping[str, str]] = {word: kind for kind, words in KINDS.items() for word in words}
FREE_WORDS: Final = frozenset(
    {
        "promo",
        "promotional",
        "promo_grant",
        "promotional_grant",
        "promotional_credit",
        "free_grant",
        "bonus_grant",
    }
)
"""Kinds of grants that say by their name that nothing was paid."""
BILLS: Final = ("invoice", "plan", "shortfall")
POLICY: Final[Synonyms] = {
    "breakage_method": ("method", "breakage"),
    "draw_order": ("order", "burn_order"),
    "overage_price": ("overage_rate", "overage_unit_price", "overage_unit_amount"),
    "precision": ("rounding",),
    "level": ("breakage_level", "estimate_level", "granularity"),
}
EXPECTED: Final[Synonyms] = {
    "rollforward": ("roll_forward", "rollforwards", "roll_forwards"),
    "allocations": ("draws", "debits"),
    "journal": ("entries", "journal_entries"),
    "total_revenue_by_period": ("revenue_by_period", "total_revenue"),
}
ROW: Final[Synonyms] = {
    "from": ("start", "from_date", "period_start"),
    "to": ("end", "to_date", "period_end"),
    "recognised_usage": ("recognized_usage", "usage", "usage_revenue"),
    "recognised_breakage": ("recognized_breakage", "breakage", "breakage_revenue"),
    "recognised_over_time": ("recognized_over_time", "recognised_rateable", "rateable", "ratable"),
    "refunds": ("refunded",),
    "overage_revenue": ("overage",),
    "unbilled_receivable": ("unbilled",),
}
LINE: Final[Synonyms] = {"account": ("acct",), "debit": ("dr",), "credit": ("cr",)}
ENTRY: Final[Synonyms] = {"date": ("t", "at", "on"), "lines": ("postings", "entries")}


def respelled(raw: object, *tables: Synonyms) -> object:
    """Return an object whose fields have the names of the tables; anything else as it is."""
    if not isinstance(raw, Mapping):
        return raw
    found = dict(raw)
    for name, others in (pair for table in tables for pair in table.items()):
        if found.get(name) is not None:
            continue
        said = [other for other in others if found.get(other) is not None]
        if len(said) > 1:
            raise Unsupported(f"{' and '.join(map(repr, said))} in one object")
        if said:
            found.pop(name, None)
            found[name] = found.pop(said[0])
    return found


def respelled_event(raw: object) -> object:
    """Return an event with the names that the players read; its kind becomes one of `KINDS`. Raises Unsupported."""
    event = respelled(raw, EVENT)
    if not isinstance(event, dict) or not isinstance(event.get("type"), str):
        return event
    word = event["type"].strip().lower().replace("-", "_").replace(" ", "_")
    kind = KIND_OF.get(word)
    if kind is None:
        raise Unsupported(f"event {word}")
    event["type"] = kind
    if word in FREE_WORDS and event.get("category") is None:
        event["category"] = "promo"
    if kind == "grant" and event.pop("promo", None) is True:
        event["category"] = "promo"
    return respelled(event, *BY_KIND.get("bill" if kind in BILLS else kind, ()))
