"""Locking documents: what is due becomes final, numbered and queued; holds keep it from that."""
