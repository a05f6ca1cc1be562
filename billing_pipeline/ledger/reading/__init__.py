"""Queries for people: what documents, payments, voids and periods say, and why."""
