-- Whose end a policy is, and which policies are the wallet's own. Ends of before have no name; what no
-- WalletPolicyChanged brought is the wallet's own.

ALTER TABLE wallet_view_policies
    ADD COLUMN ended_contract text NOT NULL DEFAULT '',
    ADD COLUMN own boolean NOT NULL DEFAULT false;

UPDATE wallet_view_policies AS p SET own = true FROM stored_events AS e
WHERE e.originator_id = p.wallet AND e.originator_version = p.policy_version
    AND e.topic <> 'wallet.WalletPolicyChanged.v1';
