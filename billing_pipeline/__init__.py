"""Close billing periods from raw usage to paid invoices."""
