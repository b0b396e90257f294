"""The session's running estates: one for each thing that is asked for, reset after every test, ended at the end."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import chaoskit
from chaoskit import pipeline
from chaoskit.errors import ChaoskitError, EnvironmentBroken, InputError
from chaoskit.spec.alone import load_alone
from chaoskit.spec.places import nearest
from chaoskit.testing import RunningEstate

MARK_ARGUMENTS = ("variant", "runtime", "prepare", "seed")


class FaultLeftOn(UserWarning):
    """A test left something broken behind; it has been mended."""


class Estates:
    """Estates by what was asked for; the same ask gets the same estate, whichever module it comes from."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._estates: dict[str, RunningEstate] = {}
        self.test: pytest.Item | None = None

    def open(
        self,
        system: str | Path,
        *,
        variant: str | None = None,
        runtime: str | None = None,
        prepare: Sequence[Mapping[str, Any]] = (),
        seed: int = 0,
    ) -> RunningEstate:
        """The estate of a system file; it is started when it is first used.

        Raises InputError for mistakes in the files, and for what the runtime cannot run.
        """
        path = self._find(system)
        name = runtime or self._config.getoption("--chaos-runtime")
        ask = repr((str(path.resolve()), variant, name, [sorted(one.items()) for one in prepare], seed))
        if ask not in self._estates:
            loaded = load_alone(path, variant, seed=seed)
            self._estates[ask] = RunningEstate(loaded, pipeline.runtime(name), self._reports(), prepare)
        return self._estates[ask]

    def reset(self) -> Iterator[str]:
        """Bring every running estate back; yields what had been left behind. One that does not come back is ended, and
        started anew when it is next used.

        Raises EnvironmentBroken for what an end has left, once all estates have had their turn.
        """
        left = []
        for estate in self._estates.values():
            if not estate.running:
                continue
            try:
                done = estate.reset()
            except Exception as error:  # noqa: BLE001 - whatever it is, no test may get an estate that is not whole
                why = str(error) if isinstance(error, ChaoskitError) else f"{type(error).__name__}: {error}"
                yield f"{estate.system.system} did not come back, so the next test gets a new one: {why}"
                try:
                    estate.rebuild()
                except ChaoskitError as still:
                    left.append(str(still))
            else:
                if not done.was_clean:
                    yield f"{estate.system.system}: {done}"
        if left:
            raise EnvironmentBroken("; ".join(left))

    def close(self) -> None:
        """End them all. Raises EnvironmentBroken for what is left, once all have been tried."""
        told = [
            f"{estate.system.system}: left on at the end: {one}"
            for estate in self._estates.values()
            for one in estate.standing
        ]
        left = []
        for estate in self._estates.values():
            try:
                estate.close()
            except ChaoskitError as error:
                left.append(str(error))
        self._estates.clear()
        try:
            _warn(told)
        finally:
            if left:
                raise EnvironmentBroken("; ".join(left))

    def _find(self, system: str | Path) -> Path:
        """Relative to the test's own folder, else to pytest's root folder."""
        folders = [self._config.rootpath]
        if self.test is not None:
            folders.insert(0, self.test.path.parent)
        candidates = [folder / system for folder in folders]
        return next((one for one in candidates if one.exists()), candidates[-1])

    def _reports(self) -> Path:
        reports = self._config.getoption("--chaos-reports")
        folder = (
            self._config.invocation_params.dir / reports if reports else self._config.rootpath / "reports"
        )
        return Path(os.path.abspath(folder))  # noqa: PTH100 - links may lead out of it on purpose


ESTATES = pytest.StashKey[Estates]()


def of_session(config: pytest.Config) -> Estates:
    """The session's estates."""
    if ESTATES not in config.stash:
        config.stash[ESTATES] = Estates(config)
    return config.stash[ESTATES]


def of_mark(request: pytest.FixtureRequest) -> RunningEstate:
    """The estate that the test's nearest mark `estate` asks for."""
    mark = request.node.get_closest_marker("estate")
    if mark is None or len(mark.args) != 1:
        raise InputError(
            'the fixture `estate` needs to know which system: @pytest.mark.estate("path/of/system.yaml")'
        )
    unknown = [key for key in mark.kwargs if key not in MARK_ARGUMENTS]
    if unknown:
        hint = nearest(unknown[0], MARK_ARGUMENTS, "allowed")
        raise InputError(f"mark `estate`: no argument is called `{unknown[0]}`; {hint}")
    estates = of_session(request.config)
    estates.test = request.node
    return estates.open(mark.args[0], **mark.kwargs)


def shorten(excinfo: pytest.ExceptionInfo[BaseException]) -> None:
    """Our own errors say everything in their text: the traceback ends in the test's line that met one."""
    if not isinstance(excinfo.value, ChaoskitError):
        return
    own = Path(chaoskit.__file__).resolve().parent
    entry = excinfo.tb
    while entry.tb_next is not None:
        if Path(entry.tb_next.tb_frame.f_code.co_filename).is_relative_to(own):
            entry.tb_next = None  # a list of entries that is cut would be made anew from these
            return
        entry = entry.tb_next


def reset_after(config: pytest.Config) -> None:
    """After a test: undo what it left on, and say so."""
    if ESTATES not in config.stash:
        return
    told: list[str] = []
    try:
        told.extend(config.stash[ESTATES].reset())
    finally:
        _warn(told)


def _warn(told: Sequence[str]) -> None:
    """Only when everything is mended: where `-W error` makes an error of it, the first one goes off like any other."""
    for one in told:
        warnings.warn(FaultLeftOn(one), stacklevel=2)
