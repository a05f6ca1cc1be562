"""Periods in the ledger: how far each is computed, what waits for a stage, and what the stages hand over."""
