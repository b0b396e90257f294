"""What a Compose file says of a PostgreSQL service, in the official image's words, as command lines."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from chaoskit.errors import EnvironmentBroken
from chaoskit.model.estate import Address
from chaoskit.model.system import Service
from chaoskit.runtimes.local.pg_install import wheel

_INIT_FOLDER = "/docker-entrypoint-initdb.d"
_RECIPE = 1  # count up when what initialise() does changes: cached clusters are then made anew
_SOFT = ("fsync=off",)
"""Below the user's own settings. Processes are killed, never the kernel: its page cache survives, so fsync
adds only noise.
"""


@dataclass(frozen=True)
class PgSettings:
    """One PostgreSQL service as its Compose file wants it."""

    service: str
    user: str
    password: str
    database: str
    host_auth: str
    initdb_words: tuple[str, ...]
    flags: tuple[str, ...]
    scripts: tuple[tuple[str, str], ...]
    conninfo: str | None

    @property
    def digest(self) -> str:
        """Names the freshly initialised cluster: the same wheel and settings give the same one."""
        facts = {**asdict(self), "service": "", "recipe": _RECIPE, "wheel": wheel().digest}
        text = json.dumps(facts, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def read_settings(service: Service, environment: dict[str, str]) -> PgSettings:
    """From the service's command, mounts and (wired) environment. Raises EnvironmentBroken for what cannot
    be honoured.
    """
    user = environment.get("POSTGRES_USER", "postgres")
    auth = environment.get("POSTGRES_HOST_AUTH_METHOD", "scram-sha-256")
    password = environment.get("POSTGRES_PASSWORD", "")
    conninfo = environment.get("PRIMARY_CONNINFO")
    if not password and auth != "trust" and conninfo is None:
        raise EnvironmentBroken(
            f"{service.name} has no POSTGRES_PASSWORD; the official image refuses to start too: "
            "give one in the Compose file"
        )
    return PgSettings(
        service=service.name,
        user=user,
        password=password,
        database=environment.get("POSTGRES_DB", user),
        host_auth=auth,
        initdb_words=tuple(environment.get("POSTGRES_INITDB_ARGS", "").split()),
        flags=_flags(service),
        scripts=() if conninfo else _scripts(service),
        conninfo=conninfo,
    )


def _flags(service: Service) -> tuple[str, ...]:
    """`-c name=value` and `--name=value` of the command, as name=value."""
    words = list(service.command)
    if words and words[0].rpartition("/")[2] == "postgres":
        words.pop(0)
    found = []
    while words:
        word = words.pop(0)
        if word == "-c" and words:
            found.append(words.pop(0))
        elif word.startswith("-c") and len(word) > 2:
            found.append(word[2:])
        elif word.startswith("--") and "=" in word:
            name, _, value = word[2:].partition("=")
            found.append(f"{name.replace('-', '_')}={value}")
        else:
            raise EnvironmentBroken(
                f"the command of {service.name} has {word!r}, which the local runtime does not know; "
                "give settings as `-c name=value`"
            )
    return tuple(found)


def _scripts(service: Service) -> tuple[tuple[str, str], ...]:
    """(name, SQL) in the order in which the image runs them; raises EnvironmentBroken for one that is no
    SQL.
    """
    paths: dict[str, Path] = {}
    if (folder := service.mounts.get(_INIT_FOLDER)) is not None:
        paths |= {path.name: path for path in Path(folder).glob("*") if not path.name.startswith(".")}
    # A file that is mounted by itself lies over the folder's of that name, as in a container.
    for target, source in service.mounts.items():
        if target.startswith(_INIT_FOLDER + "/"):
            paths[target.rpartition("/")[2]] = Path(source)
    scripts = []
    for name, path in sorted(paths.items()):
        if path.suffix != ".sql":
            raise EnvironmentBroken(
                f"{service.name} initialises its database with {name}, which the local runtime does not run; "
                f"write it as SQL: {path}"
            )
        try:
            scripts.append((name, path.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError) as error:
            raise EnvironmentBroken(f"{service.name} cannot be initialised with {path}: {error}") from error
    return tuple(scripts)


def server_argv(binaries: Path, data: Path, settings: PgSettings, address: Address) -> tuple[str, ...]:
    """The server's command line: ours below the Compose file's, and above it only what the estate depends
    on.
    """
    hard = [
        f"listen_addresses={address.host}",
        f"port={address.port}",
        "unix_socket_directories=",
        # In files below the data directory instead of /dev/shm, where a SIGKILL would leave them.
        "dynamic_shared_memory_type=mmap",
        "logging_collector=off",
        "log_destination=stderr",
    ]
    return _argv(binaries, data, [*_SOFT, *settings.flags, *hard])


def initdb_argv(binaries: Path, data: Path, settings: PgSettings, secret: Path) -> tuple[str, ...]:
    """As the image does it; `secret` is a file with the superuser's password."""
    place = (str(binaries / "bin" / "initdb"), "-D", str(data), "-U", settings.user)
    locale = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
    login = ("--auth-local=trust", "--auth-host=scram-sha-256")
    password = (f"--pwfile={secret}",) if settings.password else ()
    return (*place, "--no-sync", "--no-instructions", *locale, *login, *password, *settings.initdb_words)


def setup_argv(binaries: Path, data: Path, settings: PgSettings, sockets: Path) -> tuple[str, ...]:
    """As the image's temporary server: no TCP, so that nobody meets a half-made database; no standby to
    wait for.
    """
    hard = [
        "listen_addresses=",
        f"unix_socket_directories={sockets}",
        "synchronous_standby_names=",
        "dynamic_shared_memory_type=mmap",
        "logging_collector=off",
        "log_destination=stderr",
    ]
    return _argv(binaries, data, [*_SOFT, *settings.flags, *hard])


def _argv(binaries: Path, data: Path, settings: list[str]) -> tuple[str, ...]:
    options = [word for setting in settings for word in ("-c", setting)]
    return (str(binaries / "bin" / "postgres"), "-D", str(data), *options)


def host_rules(settings: PgSettings) -> str:
    """pg_hba.conf: passwords from this machine. The Unix socket exists only while the cluster is made, in a
    private folder.
    """
    lines = [
        "local all all trust",
        f"host all all 127.0.0.0/8 {settings.host_auth}",
        f"host replication all 127.0.0.0/8 {settings.host_auth}",
    ]
    return "\n".join(lines) + "\n"
