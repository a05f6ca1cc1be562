"""The ledger: the only place that speaks SQL to PostgreSQL. Every promise is kept here, by a transaction or a constraint."""
