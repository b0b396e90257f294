"""Which image the Toxiproxy servers of links run."""

from __future__ import annotations

import os


def toxiproxy_image() -> str:
    """CHAOSKIT_TOXIPROXY_IMAGE, else the one that scripts/set-up-docker makes; its version is 2.12 either way."""
    return os.environ.get("CHAOSKIT_TOXIPROXY_IMAGE") or "toxiproxy:2.12.0"
