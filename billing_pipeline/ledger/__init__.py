"""The ledger: the only place that speaks SQL. Every promise is kept here, by a transaction or a constraint."""
