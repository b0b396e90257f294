"""Another release of a system's services, and the rule by which its roll-out is stopped."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from chaoskit.model.base import Frozen
from chaoskit.quantity import Duration, Percent

Strategy = Literal["all", "one-first"]


class Says(Frozen):
    """Where a service says which release it is: a field of the JSON that it answers, whatever the status."""

    path: Annotated[
        str, Field(pattern=r"^/", description="path that every service of the release answers")
    ] = "/health"
    key: Annotated[str, Field(description="field of the answer; a dot steps into an object")] = "release"


class Migration(Frozen):
    """What a release changes in a database, and how that is taken back. Each script is one transaction."""

    on: Annotated[str, Field(description="database role on whose primary both run, as its `user`")]
    up: Annotated[str, Field(description="SQL file run before the first service is changed")]
    down: Annotated[
        str | None, Field(description="SQL file that takes it back; without it the schema cannot go back")
    ] = None
    finish: Annotated[
        str | None,
        Field(
            description="SQL file run after the last service was changed: what has to wait until nobody writes as "
            "before; it is not taken back"
        ),
    ] = None


class Release(Frozen):
    """What differs from the system as it stands: files, settings, schema; and how it is rolled out."""

    title: Annotated[str, Field(description="what is different, in words")] = ""
    version: Annotated[str, Field(min_length=1, description="what a service that runs it says of itself")]
    says: Annotated[Says, Field(description="where a service says its version")] = Says()
    services: Annotated[
        tuple[str, ...], Field(min_length=1, description="services that change, in the order of the roll-out")
    ]
    files: Annotated[
        str | None,
        Field(
            description="folder, relative to system.yaml, whose files replace those of the same path below each "
            "service's `path`"
        ),
    ] = None
    image_path: Annotated[
        str | None,
        Field(
            pattern=r"^/",
            description="on docker: the folder of the services' images that `files` are laid over; default: the "
            "working directory",
        ),
    ] = None
    environment: Annotated[
        dict[str, dict[str, str]],
        Field(description="settings by service, added to its own; hosts in them are not pointed at links"),
    ] = {}
    migration: Annotated[Migration | None, Field(description="what it changes in a database")] = None
    strategy: Annotated[
        Strategy,
        Field(
            description="all: schema and every service at once; one-first: the schema, then one service after the "
            "other, with `pause` between them"
        ),
    ] = "one-first"
    pause: Annotated[
        Duration, Field(description="how long the next change waits, so that a stop decision can come first")
    ] = Duration.parse("2s")


class StopRule(Frozen):
    """When a roll-out is to be stopped: the share of good operations has been too low for too long.

    At every look the operations that ended within `over` are counted, all journeys of the rule together.
    """

    journeys: Annotated[tuple[str, ...], Field(min_length=1, description="whose operations are counted")]
    below: Annotated[Percent, Field(description="the share of good operations that is too low")]
    over: Annotated[Duration, Field(description="the operations that are counted ended within this long")] = (
        Duration.parse("500ms")
    )
    for_: Annotated[
        Duration, Field(description="how long it must be so without a break; longer than a restart takes")
    ]
