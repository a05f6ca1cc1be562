"""Stage 2: from events to quantities: one number per customer, meter, price dimensions and stretch of time."""
