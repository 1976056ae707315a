"""From the facts of a cycle to an invoice: statement, parts, what is due. Read cycle_statement first."""
