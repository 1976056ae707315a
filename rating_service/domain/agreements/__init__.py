"""What was agreed, folded from history: rate cards, plans, contracts and their cycles. Read agreement first."""
