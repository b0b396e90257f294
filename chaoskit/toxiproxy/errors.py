"""The errors of this package; every message says what to do next.

ToxiproxyError
├── ServerStartError      a server process did not come up (port taken, bad configuration, no binary)
├── ServerUnreachable     no answer in time: the change may or may not have been made
├── ChangeNotTaken        the server said yes and its state says no
├── InvalidToxic          attributes refused before they were sent (also a ValueError)
└── RequestRefused        the server answered with an error status
    ├── NotFound          404
    └── AlreadyExists     409
"""

from __future__ import annotations

from chaoskit.errors import ChaoskitError


class ToxiproxyError(ChaoskitError):
    """Anything that went wrong between us and a Toxiproxy server."""


class ServerStartError(ToxiproxyError):
    """A server could not be started; the message names the reason and the fix."""


class ServerUnreachable(ToxiproxyError):
    """No answer in time. Treat the change as *unknown*: read the state back, or restart the server."""


class ChangeNotTaken(ToxiproxyError):
    """The server accepted a change but, read back, does not show it."""


class InvalidToxic(ToxiproxyError, ValueError):
    """A toxic's type, stream, toxicity or attributes are outside what a server survives."""


class RequestRefused(ToxiproxyError):
    """The server answered with an error status.

    `status` is the HTTP status and `reason` the server's own text.
    """

    def __init__(self, message: str, status: int, reason: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class NotFound(RequestRefused):
    """No proxy or toxic of that name (404)."""


class AlreadyExists(RequestRefused):
    """A proxy or toxic of that name is already there (409)."""
