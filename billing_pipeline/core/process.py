"""Whose process this is: the command line's own, or another program's that uses the product as a library."""

own = False
"""Whether nobody else's code runs here; the command line sets it, before all else."""
