"""The wallet: its state, how events change it, and the decisions that it makes."""
