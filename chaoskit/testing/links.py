"""A declared link as an object: every way in which it can be bad, as a block."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Literal

from chaoskit.model.estate import Address, Toxic
from chaoskit.testing.faults import Broken, Laid

if TYPE_CHECKING:
    from chaoskit.testing.estate import RunningEstate

Stream = Literal["upstream", "downstream"]
_numbers = itertools.count(1)


class LinkUnderTest:
    """One link. Parameters are written as in drills: `latency("400ms", jitter="100ms")`."""

    def __init__(self, estate: RunningEstate, name: str) -> None:
        self.name = name
        self._estate = estate

    def __repr__(self) -> str:
        return f"<link {self.name}>"

    def latency(self, latency: str, **parameters: Any) -> Broken:
        """`link.latency`: everything arrives later (jitter, direction)."""
        return self._fault("link.latency", latency=latency, **parameters)

    def bandwidth(self, rate: str, **parameters: Any) -> Broken:
        """`link.bandwidth`: so many bytes a second and no more (direction)."""
        return self._fault("link.bandwidth", rate=rate, **parameters)

    def cut(self, **parameters: Any) -> Broken:
        """`link.cut`: open connections are closed, new ones refused."""
        return self._fault("link.cut", **parameters)

    def timeout(self, **parameters: Any) -> Broken:
        """`link.timeout`: everything is dropped without a word (after, direction)."""
        return self._fault("link.timeout", **parameters)

    def reset(self, **parameters: Any) -> Broken:
        """`link.reset`: connections end by a TCP reset (after)."""
        return self._fault("link.reset", **parameters)

    def slicer(self, size: int, *, vary: int = 0, pause_us: int = 0, stream: Stream = "downstream") -> Laid:
        """Bytes arrive in slices of about `size` bytes, `vary` more or less, `pause_us` after each."""
        return self.toxic("slicer", stream=stream, average_size=size, size_variation=vary, delay=pause_us)

    def limit_data(self, size: int, *, stream: Stream = "downstream") -> Laid:
        """Connections end after `size` bytes."""
        return self.toxic("limit_data", stream=stream, bytes=size)

    def toxic(
        self, type: str, *, stream: Stream = "downstream", toxicity: float = 1.0, **attributes: int
    ) -> Laid:
        """Any toxic of Toxiproxy, in its own units, on `toxicity` of the connections."""
        name = f"test-{next(_numbers)}-{type}-{stream}"
        return Laid(self._estate, self.name, Toxic(name, type, stream, attributes, toxicity))

    @property
    def address(self) -> Address:
        """Where this process reaches the very listener that the link's caller connects to."""

        async def work(live: Any, customers: Any) -> Address:
            found: Address = live.estate.links.address(self.name)
            return found

        found: Address = self._estate.do(work, 30)
        return found

    def _fault(self, fault: str, *, witnessed: bool = True, **parameters: Any) -> Broken:
        return self._estate.fault(fault, self.name, witnessed=witnessed, **parameters)
