"""Checks of a period's usage: what is compared with what, whom an error holds, and how it is told."""
