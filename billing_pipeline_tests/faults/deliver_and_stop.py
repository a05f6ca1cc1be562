"""Delivers with a ``file`` gateway that stops for ever once it has submitted: something to be killed.

Run with the environment of the ledger; prints a line when it has stopped.
"""

import sys
import time

from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.payments.deliver import deliver
from billing_pipeline.payments.gateways.file import FileGateway
from billing_pipeline.payments.handoff import PaymentRequest, Submission


class StoppingGateway(FileGateway):
    """Submits, and never comes back to say so."""

    def submit(self, request: PaymentRequest) -> Submission:
        """Between here and the ledger's commit the process is killed."""
        answer = super().submit(request)
        sys.stdout.write(f"{answer.reference}\n")
        sys.stdout.flush()
        time.sleep(600)
        return answer


if __name__ == "__main__":
    deliver(Billing.open(actor="killed"), gateways={"file": StoppingGateway})
