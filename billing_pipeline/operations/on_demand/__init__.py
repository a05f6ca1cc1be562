"""On demand: windows of receipt that are over become documents, final at once, in order for each customer."""
