"""A Docker Engine of the test's own, beside the one that others use: to be killed and started again.

It keeps everything in one folder and has a default bridge of its own: with `--bridge=none` an engine removes docker0,
whosever that is. It leaves the packet filter alone, but for one rule that lets its networks' own traffic pass where the
first engine's policy drops what it does not know.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from chaoskit.errors import EnvironmentBroken
from chaoskit.runtimes.docker.engine_socket import EngineSocket

_START_S = 30.0
_END_S = 15.0
# 198.18.0.0/15 is for benchmarks (RFC 2544): no network of the machine or of the first engine is there.
_POOL = "198.18.{}.0/22"


class SecondEngine:
    """`url` is its DOCKER_HOST. Needs root, as every engine does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"unix://{folder}/docker.sock"
        self._bridge = f"ck{os.getpid()}e"
        pool = _POOL.format(os.getpid() % 64 * 4)
        self._pool = f"--default-address-pool=base={pool},size=26"
        self._rule = ["FORWARD", "-s", pool, "-d", pool, "-j", "ACCEPT"]
        self._flags = [
            f"--host={self.url}",
            f"--data-root={folder}/data",
            f"--exec-root={folder}/exec",
            f"--pidfile={folder}/docker.pid",
            *flags_beside_another(self._bridge),
        ]
        self._process: subprocess.Popen[bytes] | None = None
        add_bridge(self._bridge)
        _root("iptables", "-w", "5", "-I", *self._rule)

    def start(self) -> None:
        """Start it and wait until it answers; AssertionError with its last words if it does not."""
        self._forget_the_dead()
        # With address pools of its own an engine that starts again removes docker0, whosever that is.
        pool = [] if (self.folder / "data").exists() else [self._pool]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["dockerd", *self._flags, *pool],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
            )
        deadline = time.monotonic() + _START_S
        while not self.answers():
            assert self._process.poll() is None, self.last_words()
            assert time.monotonic() < deadline, self.last_words()
            time.sleep(0.05)

    def answers(self) -> bool:
        try:
            EngineSocket(self.url, 1.0).call("GET", "/info")
        except EnvironmentBroken:
            return False
        return True

    def last_words(self) -> str:
        return "\n".join((self.folder / "log").read_text(errors="replace").splitlines()[-8:])

    def load(self, *images: str) -> None:
        """Copy images over from the engine that others use."""
        with subprocess.Popen(["docker", "save", *images], stdout=subprocess.PIPE) as saving:
            subprocess.run(
                ["docker", "--host", self.url, "load", "--quiet"],
                stdin=saving.stdout,
                stdout=subprocess.DEVNULL,
                check=True,
                timeout=60,
            )
        assert saving.returncode == 0, f"docker save {' '.join(images)} failed; make set-up-docker makes them"

    def kill(self) -> None:
        """SIGKILL of the engine, as a crash is: its containers run on without it."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(_END_S)

    def stop(self) -> None:
        """SIGTERM: it ends its containers, then itself."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_END_S)
            except subprocess.TimeoutExpired:
                self.kill()

    def close(self) -> None:
        """End it and all that it ran, and remove its folder with what is mounted there."""
        self.stop()
        _root("iptables", "-w", "5", "-D", *self._rule)
        remove_bridge(self._bridge)
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for place in reversed(self._mounts()):
            subprocess.run(["umount", "--lazy", place], check=False, stderr=subprocess.DEVNULL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def processes(self) -> list[int]:
        """Whatever names its folder on its command line: the engine's helpers, alive without it too."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                words = path.read_bytes().split(b"\0")
                if Path(os.fsdecode(words[0])).name.startswith(("dockerd", "containerd")) and any(
                    os.fsencode(self.folder) in word for word in words
                ):
                    found.append(int(path.parent.name))
        return found

    def _mounts(self) -> list[str]:
        places = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        return [place for place in places if place.startswith(f"{self.folder}/")]

    def _forget_the_dead(self) -> None:
        """A new one refuses to start beside an old pid file, and waits in vain for a containerd that is no more."""
        (self.folder / "docker.pid").unlink(missing_ok=True)
        deadline = time.monotonic() + _END_S
        while self._containerd_runs() and time.monotonic() < deadline:
            time.sleep(0.02)
        (self.folder / "exec/containerd/containerd.pid").unlink(missing_ok=True)

    def _containerd_runs(self) -> bool:
        names = []
        for pid in self.processes():
            with suppress(OSError):
                names.append(Path(f"/proc/{pid}/comm").read_text().strip())
        return "containerd" in names


def flags_beside_another(bridge: str) -> tuple[str, ...]:
    """Flags of dockerd with which it leaves alone what another engine has made."""
    return (f"--bridge={bridge}", "--iptables=false", "--ip-forward=false", "--ip-masq=false")


def add_bridge(name: str) -> None:
    """A bridge for an engine's default network, with an address that nobody else has."""
    _root("ip", "link", "add", name, "type", "bridge")
    _root("ip", "address", "add", f"198.19.{os.getpid() % 256}.1/28", "dev", name)
    _root("ip", "link", "set", name, "up")


def remove_bridge(name: str) -> None:
    """It goes with its address."""
    _root("ip", "link", "delete", name)


def _root(*words: str) -> None:
    subprocess.run(words, check=True, env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"})


@contextmanager
def second_engine(*images: str) -> Iterator[SecondEngine]:
    """One that runs and has those images. In a folder with a short name: a socket's path ends at 107 bytes."""
    engine = SecondEngine(Path(tempfile.mkdtemp(prefix="chaoskit-engine-", dir="/tmp")))
    try:
        engine.start()
        if images:
            engine.load(*images)
        yield engine
    finally:
        engine.close()
