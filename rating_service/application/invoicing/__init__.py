"""The billing of contracts: included credit, invoices and their records, each exactly once. Read billing first."""
