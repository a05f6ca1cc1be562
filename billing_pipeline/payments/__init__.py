"""The hand-off: a finalized document becomes a request to a payment gateway, at least once, with one key.

- ``handoff.py``: what is asked of a gateway and what it answers.
- ``retries.py``: when a payment is tried, tried again, or given up.
- ``gateways/``: who collects, one file each.
"""
