"""Only hosts are rewritten: whatever else in a value happens to be spelt like a service stays."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaoskit.planner.host_tokens import host_tokens, sounds_like_host
from chaoskit.planner.wiring import rewrite

SERVICES = {"ledger": 0, "ledger-db": 0, "db2": 0, "redis": 0}
LINKS = {f"app -> {name}" for name in SERVICES}


def rewritten(value: str, variable: str = "URL") -> str:
    """The template with links shortened: <ledger> for {link:app -> ledger}."""
    wiring, _, _ = rewrite("app", variable, value, SERVICES, LINKS)
    template = wiring.template if wiring else value
    for name in SERVICES:
        template = template.replace(f"{{link:app -> {name}}}", f"<{name}>")
    return template


@pytest.mark.parametrize(
    ("value", "template"),
    [
        ("http://ledger:8081", "http://<ledger>:8081"),
        ("http://ledger:8081/ledger?ledger=ledger#ledger", "http://<ledger>:8081/ledger?ledger=ledger#ledger"),
        ("http://ledger", "http://<ledger>"),
        ("HTTP://LEDGER:80/", "HTTP://<ledger>:80/"),
        ("http://ledger:1,http://db2:2/x", "http://<ledger>:1,http://<db2>:2/x"),
        ("http://ledger:1/a,http://ledger/b", "http://<ledger>:1/a,http://<ledger>/b"),
        ("pg://ledger:ledger-db@ledger-db:5,db2:6/ledger-db", "pg://ledger:ledger-db@<ledger-db>:5,<db2>:6/ledger-db"),
        ("postgresql://ledger:p@ss@ledger-db/ledger", "postgresql://ledger:p@ss@<ledger-db>/ledger"),
        ("postgresql:///ledger?host=ledger-db&user=ledger", "postgresql:///ledger?host=<ledger-db>&user=ledger"),
        ("postgresql:///ledger?host=ledger-db,db2", "postgresql:///ledger?host=<ledger-db>,<db2>"),
        ("jdbc:postgresql://ledger-db,db2:5433/ledger", "jdbc:postgresql://<ledger-db>,<db2>:5433/ledger"),
        ("jdbc:sqlserver://db2:1433;databaseName=db2", "jdbc:sqlserver://<db2>:1433;databaseName=db2"),
        ("jdbc:oracle:thin:@ledger-db:1521/ledger", "jdbc:oracle:thin:@<ledger-db>:1521/ledger"),
        ("jdbc:oracle:thin:ledger/ledger@//ledger-db:1521/x", "jdbc:oracle:thin:ledger/ledger@//<ledger-db>:1521/x"),
        ("amqp://redis:redis@redis:5672/redis", "amqp://redis:redis@<redis>:5672/redis"),
        ("amqp://u:redis@redis:1,u:redis@db2:2/", "amqp://u:redis@<redis>:1,u:redis@<db2>:2/"),
        ("redis://:redis@redis:6379/0", "redis://:redis@<redis>:6379/0"),
        ("mongodb://u:p@db2:1,redis:2/ledger", "mongodb://u:p@<db2>:1,<redis>:2/ledger"),
        ("host=ledger-db port=1 user=ledger password=db2", "host=<ledger-db> port=1 user=ledger password=db2"),
        ("host=ledger-db,db2 dbname=db2", "host=<ledger-db>,<db2> dbname=db2"),
        ("host = 'ledger-db' password = 'a host=db2 b'", "host = '<ledger-db>' password = 'a host=db2 b'"),
        ("Server=tcp:db2;Port=5432;User Id=ledger", "Server=tcp:<db2>;Port=5432;User Id=ledger"),
        ("ledger:8081", "<ledger>:8081"),
        ("ledger:8081/ledger", "<ledger>:8081/ledger"),
        ("ledger-db:1, db2:2", "<ledger-db>:1, <db2>:2"),
        ("ledger-db,db2", "<ledger-db>,<db2>"),
        ("ledger", "<ledger>"),
        ('{"url": "http://ledger:1/x", "name": "ledger"}', '{"url": "http://<ledger>:1/x", "name": "ledger"}'),
        ("-Dx=http://ledger:1 -Dy=http://db2", "-Dx=http://<ledger>:1 -Dy=http://<db2>"),
        ("http://ledger.example.com:1", "http://ledger.example.com:1"),
        ("http://myledger:1", "http://myledger:1"),
        ("the ledger is here: ledger", "the ledger is here: ledger"),
        ("", ""),
    ],
)  # fmt: skip
def test_the_host_and_nothing_else(value: str, template: str) -> None:
    assert rewritten(value) == template


@pytest.mark.parametrize(
    ("variable", "host"),
    [
        ("PGHOST", True),
        ("LEDGER_HOST", True),
        ("LEDGER_URL", True),
        ("PEERS", True),
        ("ledger.server", True),
        ("PRIMARY", True),
        ("HOSTNAME", True),
        ("PGUSER", False),
        ("POSTGRES_DB", False),
        ("SERVER_NAME", False),
        ("DB_PASSWORD", False),
        ("HOST_AUTH_METHOD", False),
        ("MODE", False),
        ("HOST_KEY", False),
    ],
)
def test_a_bare_word_is_a_host_only_where_the_variable_says_so(variable: str, host: bool) -> None:
    assert sounds_like_host(variable) is host
    wiring, missing, unsure = rewrite("app", variable, "ledger", SERVICES, LINKS)
    assert (wiring is not None) is host
    assert unsure == ([] if host else ["ledger"])
    assert missing == []


def test_a_secret_that_looks_like_a_place_stays() -> None:
    wiring, _, unsure = rewrite("app", "ADMIN_PASSWORD", "ledger:1234", SERVICES, LINKS)
    assert wiring is None
    assert unsure == ["ledger"]


def test_a_callee_without_a_link_is_told() -> None:
    wiring, missing, _ = rewrite("app", "PEERS", "ledger:1,db2:2", SERVICES, {"app -> ledger"})
    assert wiring is not None
    assert wiring.template == "{link:app -> ledger}:1,db2:2"
    assert missing == ["db2"]


_names = st.sampled_from(list(SERVICES))
_words = _names | st.from_regex(r"[a-z][a-z0-9]{0,5}", fullmatch=True)
_ports = st.integers(1, 65535).map(lambda port: f":{port}") | st.just("")
_hosts = st.lists(st.tuples(_names, _ports), min_size=1, max_size=3)


@given(_words, _words, _hosts, _words, st.lists(st.tuples(_words, _words), max_size=2), st.booleans())
def test_urls_change_in_their_hosts_only(
    user: str,
    password: str,
    hosts: list[tuple[str, str]],
    path: str,
    query: list[tuple[str, str]],
    login: bool,
) -> None:
    ask = "&".join(f"{key}={value}" for key, value in query if key != "host")
    head = "scheme://" + (f"{user}:{password}@" if login else "")
    tail = f"/{path}" + (f"?{ask}" if ask else "")
    before = head + ",".join(name + port for name, port in hosts) + tail
    after = head + ",".join(f"<{name}>{port}" for name, port in hosts) + tail
    assert rewritten(before) == after


@given(_words, _words, _hosts, _words)
def test_connection_strings_change_in_their_hosts_only(
    user: str, password: str, hosts: list[tuple[str, str]], database: str
) -> None:
    names = [name for name, _ in hosts]
    before = f"user={user} host={','.join(names)} password='{password}' dbname={database} port=5432"
    linked = ",".join(f"<{name}>" for name in names)
    after = f"user={user} host={linked} password='{password}' dbname={database} port=5432"
    assert rewritten(before) == after


@given(
    st.text(max_size=60) | st.lists(_names | st.sampled_from(list(":/@,;= ?&'\"")), max_size=15).map("".join)
)
def test_any_value_is_read_and_put_together_again(value: str) -> None:
    tokens = host_tokens("URL", value)
    assert [token.host for token in tokens] == [value[token.start : token.end] for token in tokens]
    assert all(left.end <= right.start for left, right in pairwise(tokens))
    restored = rewritten(value)
    for name in SERVICES:
        restored = restored.replace(f"<{name}>", name)
    assert restored.lower() == value.lower() or "<" in value
