"""Price models: how a quantity becomes an amount.

`terms` says what a card may say, as recorded; `curve` makes it integers; `graduated`, `volume`, `package` and
`percentage` own one arithmetic each; `shaped` chooses among them and applies what is free and the bounds.
"""
