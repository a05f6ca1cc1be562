"""Reading the ledger: invoices, their reasons, periods and obstacles. Nothing here writes."""
