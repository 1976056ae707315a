"""What was agreed: rate cards, plans and contracts, and the decisions on them."""
