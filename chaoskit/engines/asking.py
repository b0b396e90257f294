"""One question to a service of the system, JSON both ways, past every proxy: for what a runbook asks of it."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from chaoskit.errors import ChaoskitError
from chaoskit.model.estate import Address


class NoAnswer(ChaoskitError):
    """It did not answer, or not with 2xx and a JSON object."""


async def ask_json(
    address: Address, path: str, body: Mapping[str, Any] | None = None, within_s: float = 5.0
) -> dict[str, Any]:
    """GET, or POST where there is a body. Raises NoAnswer."""
    return await asyncio.to_thread(_ask, f"http://{address}/{path.lstrip('/')}", body, within_s)


def _ask(url: str, body: Mapping[str, Any] | None, within_s: float) -> dict[str, Any]:
    data = None if body is None else json.dumps(dict(body)).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # nobody's shell has a say in it
    try:
        with opener.open(request, timeout=within_s) as answer:
            found = json.loads(answer.read())
    except urllib.error.HTTPError as error:
        raise NoAnswer(f"{url}: {error.code} {error.read(200).decode(errors='replace')}") from None
    except (OSError, ValueError) as error:
        raise NoAnswer(f"{url}: {error}") from None
    if not isinstance(found, dict):
        raise NoAnswer(f"{url}: no JSON object")
    return found
