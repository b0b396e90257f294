"""A journey by a class of the user's own as the calls that its instances get."""

from __future__ import annotations

from chaoskit.conductor.draw import Values
from chaoskit.model.own import Call


class ClassMessages:
    """Makes one journey's calls."""

    def __init__(self, within_s: float) -> None:
        self._within_s = within_s

    def make(self, values: Values) -> tuple[Call, bytes]:
        """The call; its hash is of nothing unless `fingerprint` says of what."""
        drawn = {name: value for name, value in values.items() if name != "key"}
        call = Call(
            key=values["key"].text,
            values={name: value.text for name, value in drawn.items()},
            minor={name: value.minor for name, value in drawn.items() if value.minor is not None},
            within_s=self._within_s,
        )
        return call, b""
