"""Standard output and error as a command needs them: never text they cannot encode, never a reader they depend on."""

from __future__ import annotations

import codecs
import io
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Buffer  # in the standard library from Python 3.12 on

_PLAIN = {
    "–": "-",
    "−": "-",
    "·": "*",
    "…": "...",
    "→": "->",
    "►": ">",
    "≤": "<=",
    "±": "+/-",
    "µ": "u",
    "×": "x",
}
"""What stands for our own signs where the terminal's encoding has none."""


class Output(io.FileIO):
    """A file descriptor whose reader may leave.

    A drill must end by its verdict, not by `| head -1`: what nobody can take is dropped, and `lost` says why.
    """

    lost: OSError | None = None

    def write(self, data: Buffer, /) -> int:
        if self.lost is None:
            try:
                return super().write(data)
            except BlockingIOError:
                return super().write(_once_writable(self.fileno(), data))
            except OSError as error:
                self.lost = error
        return memoryview(data).nbytes


def _once_writable(fd: int, data: Buffer) -> Buffer:
    """Some other owner of the terminal has made it non-blocking; we rely on a stream that waits."""
    os.set_blocking(fd, True)
    return data


def prepare() -> list[Output]:
    """Replace sys.stdout and sys.stderr for the rest of the process; returns what they write to."""
    # A closed descriptor 1 would be the number of the next file we open, and a print would go into it.
    for fd, mode in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, mode)
    codecs.register_error("chaoskit", _plainly)
    outputs = []
    for name, fd in (("stdout", 1), ("stderr", 2)):
        old = getattr(sys, name)
        if old is not None:
            with suppress(OSError, ValueError):
                old.flush()
        output = Output(fd, "wb", closefd=False)
        encoding = getattr(old, "encoding", None) or "utf-8"
        stream = io.TextIOWrapper(
            io.BufferedWriter(output),
            encoding=encoding,
            errors="chaoskit",
            line_buffering=fd == 2 or output.isatty(),
        )
        setattr(sys, name, stream)
        outputs.append(output)
    return outputs


def finish(outputs: list[Output], code: int) -> int:
    """Flush; the exit code, which is no success when what was asked for could not be written."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    lost = outputs[0].lost
    if lost is None or isinstance(lost, BrokenPipeError):  # the reader has what it wanted: `catalogue | head`
        return code
    print(f"chaoskit: standard output could not be written: {lost.strerror}", file=sys.stderr)
    sys.stderr.flush()
    return code or 3


def _plainly(error: UnicodeError) -> tuple[str, int]:
    """Error handler of encodings: our own signs by plain ones, bytes of file names as \\xff, the rest by `?`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(_plain(char) for char in text), error.end


def _plain(char: str) -> str:
    if "\udc80" <= char <= "\udcff":
        return f"\\x{ord(char) - 0xDC00:02x}"
    return _PLAIN.get(char, "?")
