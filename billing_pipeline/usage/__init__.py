"""Stage 1: usage events, from the files people send to one winner per event key."""
