"""Rating: quantities become exact amounts, with their reasons; README.md says where to begin."""
