"""Rate cards, plans and price lists on the command line."""
