"""Landing usage: from a delivered file or frame to a batch, and what becomes of rows that cannot be billed."""
