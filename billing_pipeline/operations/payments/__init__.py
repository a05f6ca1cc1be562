"""Payments: queued invoices delivered to gateways, and where each stands."""
