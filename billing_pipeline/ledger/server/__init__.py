"""The parts of the embedded server, which ``ledger/embedded.py`` puts together."""
