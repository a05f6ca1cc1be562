"""Metering: from usage events to quantities, one per customer, meter, price dimensions and stretch of time."""
