"""What stands beside the services of a Compose file: networks, volumes, secrets and configs, in canonical form."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from chaoskit.model.base import Frozen


class Pool(Frozen):
    """One address range of a network."""

    subnet: str | None = None
    ip_range: str | None = None
    gateway: str | None = None
    aux_addresses: dict[str, str] = {}


class Network(Frozen):
    """An entry of the top-level `networks`."""

    name: Annotated[str | None, Field(description="what the engine would call it; the run gives its own")] = (
        None
    )
    external: bool = False
    driver: str | None = None
    driver_opts: dict[str, str] = {}
    internal: bool = False
    attachable: bool = False
    enable_ipv6: bool = False
    ipam_driver: str | None = None
    ipam_options: dict[str, str] = {}
    pools: tuple[Pool, ...] = ()
    labels: dict[str, str] = {}


class Volume(Frozen):
    """An entry of the top-level `volumes`."""

    name: Annotated[str | None, Field(description="what the engine would call it; the run gives its own")] = (
        None
    )
    external: bool = False
    driver: str | None = None
    driver_opts: dict[str, str] = {}
    labels: dict[str, str] = {}


class FileSource(Frozen):
    """An entry of the top-level `secrets` or `configs`; exactly one of file, content and external."""

    file: Annotated[str | None, Field(description="absolute path on the host")] = None
    content: Annotated[str | None, Field(description="the text itself, from `content` or `environment`")] = (
        None
    )
    external: bool = False
    name: str | None = None


class ComposeProject(Frozen):
    """What stands beside the services of a Compose file; `default` is in `networks` when a service uses it."""

    name: Annotated[str, Field(description="the file's `name`, else its folder's")] = ""
    networks: dict[str, Network] = {}
    volumes: dict[str, Volume] = {}
    secrets: dict[str, FileSource] = {}
    configs: dict[str, FileSource] = {}
