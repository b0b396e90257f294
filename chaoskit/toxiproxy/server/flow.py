"""One direction of one connection: from a source, through the stages of the active toxics, into a sink.

source ─read─► (no toxic) ──────────────────────────► sink.write
source ─read─► stage ─► stage ─► … ────────deliver──► sink.write
   ▲                                                      │
   └──pause/resume when a stage or the sink is full───────┘
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any

from chaoskit.toxiproxy.server.metrics import Traffic
from chaoskit.toxiproxy.toxics.stage import Stage, Timer

if TYPE_CHECKING:
    from chaoskit.toxiproxy.server.connection import Connection
    from chaoskit.toxiproxy.server.toxic import Toxic

#: What a client may send before its upstream is connected.
EARLY_BYTES_MAX = 64 * 1024


class Slot:
    """The place of one stage in the chain of one flow; the stage sees it as its `Port`."""

    def __init__(self, flow: Flow, toxic: Toxic, rng: random.Random) -> None:
        self.flow = flow
        self.name = toxic.name
        self.rng = rng
        self.next: Slot | None = None
        self.open = True
        self.stage: Stage[Any] = toxic.kind.stage(toxic.settings, self)

    def let_go(self) -> None:
        """The connection is over: no timer, and no way back to what it belonged to."""
        self.open = False
        self.stage.cancel()
        del self.stage

    def now(self) -> float:
        return monotonic()

    def emit(self, data: bytes, at: float) -> None:
        if not self.open:
            return
        if self.next is not None:
            self.next.stage.feed(data, at)
        else:
            self.flow.deliver(data)

    def emit_end(self) -> None:
        if not self.open:
            return
        self.open = False
        if self.next is not None:
            self.next.stage.end()
        else:
            self.flow.deliver_end()

    def finish(self) -> None:
        self.flow.closing = True
        self.emit_end()

    def reset(self) -> None:
        self.flow.connection.reset()

    def wake(self, at: float, call: Callable[[], None]) -> Timer:
        # uvloop's clock has milliseconds: rounding up keeps a delay from ending early.
        delay_s = math.ceil(max(0.0, at - monotonic()) * 1000) / 1000

        def fire() -> None:
            call()
            self.flow.balance()

        return asyncio.get_running_loop().call_later(delay_s, fire)


class Flow:
    """Moves bytes one way and knows how far the end of the stream has come."""

    def __init__(self, connection: Connection, traffic: Traffic) -> None:
        self.connection = connection
        self.traffic = traffic
        self.source: asyncio.Transport | None = None
        self.sink: asyncio.Transport | None = None
        self.slots: list[Slot] = []
        self.opened = False  # the upstream is connected: bytes may move
        self.ended = False  # the source has no more bytes
        self.done = False  # the end has reached the sink
        self.dead = False  # the sink is gone
        self.closing = False  # a toxic decided to close the connection
        self.sink_full = False
        self._paused = False
        self._early: list[bytes] = []
        self._early_bytes = 0

    def open(self, toxics: list[Toxic]) -> None:
        """Source and sink are connected: apply the toxics, then replay what came early."""
        self.opened = True
        for toxic in toxics:
            self.apply(toxic, [other.name for other in toxics])
        early, self._early, self._early_bytes = self._early, [], 0
        for data in early:
            self._pass(data)
        if self.ended:
            self._pass_end()
        self.balance()

    def read(self, data: bytes) -> None:
        """The source sent bytes."""
        self.traffic.received_bytes += len(data)
        if self.slots or not self.opened:
            self._pass(data)
            self.balance()
        else:
            self.deliver(data)

    def end(self) -> None:
        """The source will send no more, in order or by its death; what was read before is still delivered."""
        if self.ended:
            return
        self.ended = True
        if self.opened:
            self._pass_end()

    def die(self) -> None:
        """The sink is gone: what is held can no longer be delivered."""
        self.dead = True
        self._early.clear()
        self.cancel()
        self.balance()

    def cancel(self) -> None:
        """Stop every timer and drop what is held."""
        for slot in self.slots:
            slot.open = False
            slot.stage.cancel()

    def let_go(self) -> None:
        """The connection is over, and so is all that it held."""
        for slot in self.slots:
            slot.let_go()
        self.slots.clear()
        self.source = self.sink = None
        del self.connection

    def apply(self, toxic: Toxic, order: list[str]) -> None:
        """Make the chain agree with a toxic that was added or changed; `order` is that of the proxy's toxics."""
        if not self.opened or self.done or self.dead:
            return
        rng = self.connection.dice(toxic.name)
        applies = rng.random() < toxic.toxicity
        slot = next((slot for slot in self.slots if slot.name == toxic.name), None)
        if slot is not None and applies:
            slot.stage.update(toxic.settings)
        elif slot is not None:
            self.remove(toxic.name)
        elif applies:
            slot = Slot(self, toxic, rng)
            self.slots.append(slot)
            self.slots.sort(key=lambda slot: order.index(slot.name))
            self._link()
            slot.stage.start()
        self.balance()

    def remove(self, name: str) -> None:
        """A toxic was removed: its stage passes on what it holds, and leaves the chain."""
        slot = next((slot for slot in self.slots if slot.name == name), None)
        if slot is None:
            return
        slot.stage.release()
        self.slots.remove(slot)
        self._link()
        self.balance()

    def deliver(self, data: bytes) -> None:
        """Bytes left the chain."""
        if self.dead or self.done or self.sink is None or self.sink.is_closing():
            return
        self.traffic.sent_bytes += len(data)
        self.sink.write(data)

    def deliver_end(self) -> None:
        """The end of the stream left the chain."""
        if not self.done:
            self.done = True
            self.connection.flow_done(self)

    def balance(self) -> None:
        """Stop reading the source while anything behind it is full; never for the sake of a dead sink."""
        full = not self.dead and (
            self.sink_full
            or self._early_bytes >= EARLY_BYTES_MAX
            or any(slot.stage.held_bytes >= slot.stage.limit_bytes for slot in self.slots)
        )
        if full == self._paused or self.source is None or self.ended:
            return
        self._paused = full
        if full:
            self.source.pause_reading()
        else:
            self.source.resume_reading()

    def _pass(self, data: bytes) -> None:
        if self.dead or self.done or self.closing:
            return
        if not self.opened:
            self._early.append(data)
            self._early_bytes += len(data)
        elif self.slots:
            self.slots[0].stage.feed(data, monotonic())
        else:
            self.deliver(data)

    def _pass_end(self) -> None:
        if self.slots:
            self.slots[0].stage.end()
        else:
            self.deliver_end()

    def _link(self) -> None:
        following: Slot | None = None
        for slot in reversed(self.slots):
            slot.next = following
            following = slot
