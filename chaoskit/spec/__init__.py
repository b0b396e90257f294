"""Drill, system and Compose files to frozen types: every mistake told at once, with its line and column."""

from __future__ import annotations

from chaoskit.spec.loading import Loaded, cells, load
from chaoskit.spec.member_params import Registry, build
from chaoskit.spec.places import Places

__all__ = ["Loaded", "Places", "Registry", "build", "cells", "load"]
