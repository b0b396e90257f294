"""What is decided of a service before anything starts: health check, ports, names, image."""

from __future__ import annotations

from typing import Any

import pytest

from chaoskit.model import compose
from chaoskit.model.compose import ComposeService, NetworkUse
from chaoskit.model.compose_project import ComposeProject
from chaoskit.model.system import DatabaseRole, Link, Service, System
from chaoskit.quantity import Duration
from chaoskit.runtimes.docker.health import HealthCheck, merged
from chaoskit.runtimes.docker.images import name_of
from chaoskit.runtimes.docker.prepare import container_name, names_of, ports_of
from chaoskit.runtimes.docker.watch import in_words

IMAGE = {"Test": ["CMD-SHELL", "curl localhost"], "Interval": 2_000_000_000, "Retries": 7}


def seconds(text: str) -> Duration:
    return Duration.parse(text)


@pytest.mark.parametrize(
    ("image", "told", "expected"),
    [
        (None, None, None),
        ({"Test": ["NONE"]}, None, None),
        (IMAGE, None, HealthCheck(("/bin/sh", "-c", "curl localhost"), 2.0, 30.0, 7, 0.0)),
        (IMAGE, compose.HealthCheck(disable=True), None),
        (
            IMAGE,
            compose.HealthCheck(interval=seconds("5s"), start_period=seconds("1m")),
            HealthCheck(("/bin/sh", "-c", "curl localhost"), 5.0, 30.0, 7, 60.0),
        ),
        (
            None,
            compose.HealthCheck(test=("CMD", "true"), timeout=seconds("1s"), retries=2),
            HealthCheck(("true",), 30.0, 1.0, 2, 0.0),
        ),
    ],
    ids=["none", "image's none", "image's", "switched off", "over the image's", "the file's"],
)
def test_the_files_health_check_goes_over_the_images(
    image: dict[str, Any] | None, told: compose.HealthCheck | None, expected: HealthCheck | None
) -> None:
    assert merged(image, told) == expected


def system(**services: ComposeService) -> System:
    return System(
        system="made",
        compose="compose.yaml",
        folder="/srv/Shop",
        services={
            name: Service(name=name, compose=one, ports=(9000,), image=one.image)
            for name, one in services.items()
        },
        roles={"database": DatabaseRole(engine="postgresql", primary="db", database="d", user="u")},
        links=(Link.parse("web -> db"),),
        journeys={},
        compose_project=ComposeProject(name="shop"),
    )


def test_names_under_which_a_service_is_known() -> None:
    made = system(
        web=ComposeService(links=(("db", "store"), ("db", ""))),
        db=ComposeService(
            container_name="the-db", hostname="dbhost", networks={"core": NetworkUse(aliases=("main", "db"))}
        ),
    )
    assert names_of(made, "db") == ("db", "the-db", "dbhost", "main", "store")
    assert container_name("chaoskit-1", made.services["db"], 1) == "chaoskit-1-db"


def test_ports_begin_with_the_roles_and_end_with_the_images() -> None:
    made = system(web=ComposeService(), db=ComposeService())
    image: dict[str, Any] = {"Config": {"ExposedPorts": {"8080/tcp": {}, "53/udp": {}, "80/tcp": {}}}}
    assert ports_of(made, "db", image) == (5432, 9000, 80, 8080)
    assert ports_of(made, "web", {}) == (9000,)


def test_what_is_built_is_called_as_docker_compose_calls_it() -> None:
    made = system(web=ComposeService(), db=ComposeService(image="postgres:18"))
    assert name_of(made, made.services["web"]) == "shop-web"
    assert name_of(made, made.services["db"]) == "postgres:18"


@pytest.mark.parametrize(
    ("folder", "image"),
    [("/srv/My Shop (2)", "myshop2-web"), ("/srv/_a.b", "ab-web"), ("/srv/店", "system-web")],
)
def test_a_folder_whose_name_is_no_image_name_gives_what_is_left_of_it(folder: str, image: str) -> None:
    made = system(web=ComposeService())
    nameless = made.model_copy(
        update={"folder": folder, "compose_project": made.compose_project.model_copy(update={"name": None})}
    )
    assert name_of(nameless, nameless.services["web"]) == image


@pytest.mark.parametrize(
    ("code", "out_of_memory", "words"),
    [
        (0, False, "exit status 0"),
        (137, False, "killed by SIGKILL"),
        (137, True, "killed by SIGKILL, out of memory"),
        (255, False, "exit status 255"),
        (None, False, "ended"),
    ],
)
def test_an_end_in_words(code: int | None, out_of_memory: bool, words: str) -> None:
    assert in_words(code, out_of_memory) == words
