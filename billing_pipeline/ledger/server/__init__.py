"""The parts of the embedded server, which ``ledger/server/embedded.py`` puts together."""
