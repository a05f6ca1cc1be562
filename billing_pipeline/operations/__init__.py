"""The verbs that a person, a schedule or another program can ask for: one file each, over the ledger and the rules."""
