"""Usage in the ledger: batches, the manifest of the lake, quarantine, watermarks, and usage that lasts."""
