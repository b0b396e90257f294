"""What an error that nobody foresaw leaves behind: one line for the person, a file for whoever mends chaoskit."""

from __future__ import annotations

import platform
import shlex
import sys
import tempfile
import traceback
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from chaoskit.run_folder import state_directory


def crash_line(error: BaseException, arguments: Sequence[str]) -> str:
    """One line that names the error and where its report was written."""
    what = (traceback.format_exception_only(error)[-1].strip().splitlines() or [type(error).__name__])[0]
    line = f"chaoskit: an error of chaoskit itself, so there is no answer: {what}"
    path = write_report(error, arguments)
    if path is None:
        return f"{line}; its report could be written neither to the state directory nor to {tempfile.gettempdir()}"
    return f"{line}; the report is {path}"


def write_report(error: BaseException, arguments: Sequence[str]) -> Path | None:
    """Write the traceback with what is needed to understand it; None where no place could be written."""
    try:
        own = version("chaoskit")
    except PackageNotFoundError:
        own = "unknown"
    text = (
        f"chaoskit {own}, Python {platform.python_version()}, {platform.platform()}\n"
        f"command: chaoskit {shlex.join(arguments)}\n"
        f"folder:  {_here()}\n\n" + "".join(traceback.format_exception(error))
    )
    for folder in (_crashes, tempfile.gettempdir):
        try:
            place = Path(folder())
            place.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix="chaoskit-crash-", suffix=".txt", dir=place)
            with open(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
        except (OSError, RuntimeError) as failed:  # RuntimeError: there is no home folder
            print(f"chaoskit: no crash report there: {failed}", file=sys.stderr)
        else:
            return Path(name)
    return None


def _crashes() -> str:
    return str(state_directory() / "crashes")


def _here() -> str:
    try:
        return str(Path.cwd())
    except OSError:  # the folder was removed under our feet
        return "gone"
