"""Money, billing periods, durations and errors: words that every stage shares. Standard library only."""
