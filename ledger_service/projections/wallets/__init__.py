"""The wallet view: wallets, policies, grants and what is left of them."""
