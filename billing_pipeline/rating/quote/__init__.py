"""Quotes: what a quantity or some events would cost at a price, without a ledger."""
