"""Rated lines → documents: which there are, when they lock, and what each says."""
