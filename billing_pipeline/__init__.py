"""Close billing periods from raw usage to paid invoices.

Which file to open for which question:

what is sold, and to whom                     catalog/
how a file becomes events                     usage/sources/, usage/normalize.py
which report of an event counts               usage/deduplicate.py
how much was used                             metering/measure.py, metering/aggregations/
which usage a price counts                    metering/segments.py
how a quantity becomes money                  rating/price_models/, rating/rate.py
which documents there are, when they lock     invoicing/document_plans.py
who collects                                  payments/gateways/
what keeps every promise                      ledger/documents/, ledger/periods/ (ledger/tables.py first)
how a file becomes a batch                    operations/landing/
how usage becomes documents                   operations/closing/
what makes documents final                    operations/locking/
how a change is recorded, and shown before    operations/changes/
what a person can ask for                     operations/, a room a subject, a file a verb
what Dagster shows                            definitions.py, pipeline/
what the command line offers                  cli/

Each folder begins with a page, its README.md: what it owns, what always holds, which time is which.
"""

__version__ = "0.1.0"
