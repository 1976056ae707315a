"""WalletService on the wire: wallets, grants, debits, holds, transfers and top-ups."""
