"""FinanceService on the wire."""
