"""What metering knows of time beyond the period that it measures."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from billing_pipeline.usage.event import LakeFile


@dataclass(frozen=True, slots=True)
class Timeline:
    """How days are told, what runs into the period, and where it stands.

    Attributes:
        time_zone: the billing time zone: whose days a meter's ``window: day`` means.
        now: when what nothing has ended stops counting; None where all that is asked is in the past.
        earlier: files of earlier periods, as far back as something in them may last into this one. Only levels and
            sessions are looked at, and no row of them is counted.
    """

    time_zone: ZoneInfo
    now: datetime | None = None
    earlier: Sequence[LakeFile] = ()
