"""The journal for other programs: hledger, beancount, rows."""
