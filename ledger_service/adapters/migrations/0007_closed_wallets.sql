-- When a wallet was closed; null while it is open.
ALTER TABLE wallet_view_wallets ADD COLUMN close_time timestamptz;
