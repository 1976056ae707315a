"""Simulation: usage priced again under candidates, added up, and compared with what was charged.

Begin with `candidate` (what usage is priced by), `amounts` (exact numbers), `cells` (sums), `fold` (one usage after
the other) and `outcome` (what comes out).

Laws:
- A candidate that holds the very phases by which usage was charged differs by exactly 0, contract by contract, also
  where prices depend on running totals.
- Sums over contracts, months, models and features are each the total.
- The same facts and candidates give the same outcome.
"""
