"""Words that every stage shares: money, periods, durations, errors. Standard library only."""
