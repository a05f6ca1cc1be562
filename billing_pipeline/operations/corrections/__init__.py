"""Corrections after the lock: voids, reissues and credit notes, issued by hand."""
