"""The SQL of the views, by schema."""

from __future__ import annotations

from typing import Final

from psycopg.sql import SQL, Identifier

# The newest phase of a contract, unless a later one or its end took its place; or else the wallet's own policy.
# The one that WalletOpened brought holds from the beginning of time; later ones from their effective time.
LIST_WALLETS: Final = """
SELECT w.wallet, w.customer, w.asset_code, w.asset_scale, p.shortfall_mode, p.overage_limit_units,
    p.contract, p.contract_phase, w.open_time, w.version,
    w.granted_units::text, w.debited_units::text, w.overage_units::text, w.expired_units::text,
    w.debt_units::text, w.revoked_units::text, w.burn_down_order, w.entity, w.close_time
FROM {schema}.wallet_view_wallets AS w, LATERAL (
    SELECT * FROM {schema}.wallet_view_policies AS p
    WHERE p.wallet = w.wallet AND (p.effective_time <= %(now)s OR p.policy_version = 1)
        AND (p.own OR p.contract <> '' AND NOT EXISTS (
            SELECT FROM {schema}.wallet_view_policies AS l
            WHERE l.wallet = p.wallet AND NOT l.own AND l.effective_time <= %(now)s
                AND (l.effective_time, l.policy_version) > (p.effective_time, p.policy_version)
                AND (l.contract <> '' OR l.ended_contract IN ('', p.contract))
        ))
    ORDER BY p.own, p.policy_version = 1, p.effective_time DESC, p.policy_version DESC LIMIT 1
) AS p
WHERE w.wallet > %(after)s {customer}
ORDER BY w.wallet LIMIT %(limit)s"""

LIST_GRANTS: Final = """
SELECT wallet, grant_version, amount_units, category, priority, scope, effective_time, expire_time,
    currency_code, consideration_nanos, reference, contract, purchase_version, recurrence::text,
    drawn_units, expired_units, held_units, revoked_units, rolled_over_units,
    transferred_units, transfer, receivable_nanos, compensates_version, payment_state, top_up_version,
    finance::text
FROM {schema}.wallet_view_grants
WHERE wallet = %(wallet)s AND grant_version > %(after)s
ORDER BY grant_version LIMIT %(limit)s"""

# Recorded days, and what lots broke at expiries that fell due by now but are not recorded yet. Everything
# before the span is one row, without a day. What holds reserve is not broken, so a lot that has units held
# breaks the share of the rest, rounded half up as `recognition` does it.
# One that never ran has no row, and is at 0.
POSITIONS: Final = """
SELECT name, coalesce(t.notification_id, 0),
    (SELECT coalesce(max(notification_id), 0) FROM {schema}.stored_events)
FROM unnest(%(names)s::text[]) AS name
LEFT JOIN {schema}.notification_tracking AS t ON t.application_name = name ORDER BY name COLLATE "C" """

POSITION: Final = """
SELECT notification_id FROM {schema}.notification_tracking WHERE application_name = %(name)s"""

OF_CUSTOMER: Final = SQL("AND w.customer = %(customer)s")


class ViewStatements:
    """The statements of one schema."""

    def __init__(self, schema: str) -> None:
        """Bind the statements to a schema."""
        name = Identifier(schema)
        self.list_wallets: Final = SQL(LIST_WALLETS).format(schema=name, customer=SQL(""))
        self.list_wallets_of_customer: Final = SQL(LIST_WALLETS).format(schema=name, customer=OF_CUSTOMER)
        self.list_grants: Final = SQL(LIST_GRANTS).format(schema=name)
        self.positions: Final = SQL(POSITIONS).format(schema=name)
        self.position: Final = SQL(POSITION).format(schema=name)
