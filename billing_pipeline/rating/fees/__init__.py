"""Fees: which are due for which days, in advance or in arrears, prorated by local days."""
