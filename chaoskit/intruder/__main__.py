"""`python -m chaoskit.intruder`: orders as JSON on stdin, what it does as a line of JSON each on stdout.

{"hosts": ["127.1.2.*"], "stores": ["/…/backups"], "rows": 25, "every_ms": 100}
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from chaoskit.engines.grip import log_ins
from chaoskit.intruder.files import Folder
from chaoskit.intruder.rows import Database

_lock = threading.Lock()


def say(event: str, **facts: Any) -> None:
    """One line of what he did; `t` is CLOCK_MONOTONIC ns."""
    now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    with _lock:
        print(json.dumps({"t": now, "event": event, **facts}), flush=True)


def main() -> None:
    """Look for what can be reached, then wreck it batch by batch until ended."""
    orders = json.load(sys.stdin)
    environment = dict(os.environ)
    work: list[Any] = []
    for login in log_ins(environment):
        for host, port in login.hosts:
            if any(fnmatchcase(host, one) for one in orders["hosts"]):
                work.append(Database(login, host, port, orders["rows"], say))
            else:
                say("out-of-bounds", variable=login.variable, host=host)
    stores = {Path(one).resolve() for one in orders["stores"]}
    for value in sorted(environment.values()):
        if not value.startswith("/") or ":" in value or not Path(value).is_dir():
            continue
        folder = Path(value).resolve()
        # A store itself or what is in it; never what merely contains it, or anything else of the machine.
        if stores & {folder, *folder.parents}:
            work.append(Folder(folder, say))
    say("inside", targets=[str(one) for one in work])
    for one in work:
        threading.Thread(target=_repeat, args=(one, orders["every_ms"] / 1000), daemon=True).start()
    threading.Event().wait()


def _repeat(one: Any, every_s: float) -> None:
    while True:
        one.batch()
        time.sleep(every_s)  # bounded on purpose: the drill is about the time to cut him off


if __name__ == "__main__":
    main()
