"""Finance: what the facts of the ledger mean in money, as double entries (ASC 606, IFRS 15).

Read `accounts`, then `journal` (what an entry is), `lots` (a paid lot and what moves it), `methods` (how much of
it is revenue) and `postings` (the difference between a lot before and after, as entries).
"""
