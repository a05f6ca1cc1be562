"""Quotes: what a quantity or some events would cost, without a ledger."""
