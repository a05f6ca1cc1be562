"""The Dagster face: it wires, it computes nothing."""

import warnings

from dagster import BetaWarning, PreviewWarning

# Dagster's notices about its own interfaces, at every load; the versions are pinned and tested together.
warnings.filterwarnings("ignore", category=BetaWarning)
warnings.filterwarnings("ignore", category=PreviewWarning)
