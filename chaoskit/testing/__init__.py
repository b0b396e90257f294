"""Running estates for engineers' own tests: what the pytest fixtures `estate` and `chaos_estate_factory` hand out."""

from __future__ import annotations

from chaoskit.testing.customers import Attempt
from chaoskit.testing.estate import JourneyUnderTest, RunningEstate
from chaoskit.testing.faults import Broken, Laid, Unwitnessed
from chaoskit.testing.links import LinkUnderTest
from chaoskit.testing.restoring import Reset

__all__ = [
    "Attempt",
    "Broken",
    "JourneyUnderTest",
    "Laid",
    "LinkUnderTest",
    "Reset",
    "RunningEstate",
    "Unwitnessed",
]
