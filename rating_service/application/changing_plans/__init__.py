"""Changes of plan, shown first and done as shown, for one contract or many."""
