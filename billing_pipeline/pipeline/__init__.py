"""The Dagster face: it wires, it computes nothing."""
