"""Documents in the ledger: their states, what makes them final, and what keeps, voids, pays or adjusts them."""
