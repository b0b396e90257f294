"""A journey by SQL against a real PostgreSQL: bound, never pasted; ok only once committed; in doubt, unknown."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from chaoskit.clock import monotonic_ns
from chaoskit.conductor.answer import Answer
from chaoskit.conductor.draw import Drawn
from chaoskit.conductor.outcome import Judged, judged
from chaoskit.conductor.sql_client import SqlTarget
from chaoskit.conductor.sql_message import SqlMessages
from chaoskit.errors import InputError
from chaoskit.model.estate import Address
from chaoskit.model.system import Good, Journey, Read, Refused, Sql
from chaoskit.quantity import Duration
from tests.conductor.measuring import run
from tests.contracts.postgresql_pair import Member, copy, make_template, own_address, stop

TABLE = """
SET ROLE app;
CREATE TABLE orders (key text PRIMARY KEY, cents bigint CHECK (cents > 0),
                     twin text REFERENCES orders DEFERRABLE INITIALLY DEFERRED);
"""
INSERT = "INSERT INTO orders (key, cents) VALUES ({key}, {cents})"


@pytest.fixture(scope="module")
def server() -> Iterator[Member]:
    template = make_template()
    member = Member.start(copy(template, "sql-journey"), own_address())
    with member.connect() as connection:
        connection.execute(TABLE)
    yield member
    stop(member)
    shutil.rmtree(template.parent)


def login(statement: str, **changes: Any) -> Sql:
    fields = {"on": "db", "database": "ledger", "user": "app", "password": "app-test-only"} | changes
    return Sql(statement=statement, **fields)


def journey(statement: str, **more: Any) -> Journey:
    return Journey(sql=login(statement), good=Good(within=Duration.parse("5s")), **more)


class Customer:
    """Sends one statement after the other over one target."""

    def __init__(self, address: Address, *, keep: bool = True, **changes: Any) -> None:
        sql = login("", **changes)
        self.target = SqlTarget(address.host, address.port, sql, keep=keep, clock=monotonic_ns)

    async def send(self, statement: str, within_s: float = 20.0, **values: str) -> Answer:
        known = frozenset(values)
        message, _ = SqlMessages(statement, known, "here").make({n: Drawn(v) for n, v in values.items()})
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.target.exchange(message, int(within_s * 1e9), answered.set_result)
        return await answered

    async def outcome(self, statement: str, within_s: float = 20.0, **values: str) -> Judged:
        return judged(journey(statement), await self.send(statement, within_s, **values))


def test_whatever_a_value_holds_it_is_a_parameter(server: Member) -> None:
    async def test() -> None:
        customer = Customer(server.address)
        nasty = "x'); DROP TABLE orders; -- {key} $1 ü"
        assert (await customer.send(INSERT, key=nasty, cents="7")).ending == "answered"
        read = "SELECT key, cents, cents::int AS small FROM orders WHERE key = {key}"
        answer = await customer.send(read, key=nasty)
        assert answer.read == {"key": nasty, "cents": 7, "small": 7}
        looked = judged(journey(read, read=Read(value="cents", position="when")), answer)
        assert looked[:3] == ("ok", "read: no row with a column 'when'", {"value": 7})
        customer.target.close()

    run(test)


def test_what_a_constraint_refuses_is_a_failure_only_if_the_system_file_says_so(server: Member) -> None:
    async def test() -> None:
        customer = Customer(server.address)
        answer = await customer.send(INSERT, key="poor", cents="0")
        assert (answer.ending, answer.code) == ("error", "23514")
        assert judged(journey(INSERT), answer).outcome == "unknown"
        for listed in ("23514", "23"):
            assert judged(journey(INSERT, refused=Refused(sqlstate=(listed,))), answer).outcome == "fail"
        assert judged(journey(INSERT, refused=Refused(sqlstate=("23505",))), answer).outcome == "unknown"
        customer.target.close()

    run(test)


def test_a_commit_that_fails_after_the_statement_was_complete_is_no_success(server: Member) -> None:
    """In the extended protocol a deferred constraint is checked when the server has already said INSERT 0 1."""

    async def test() -> None:
        customer = Customer(server.address)
        statement = "INSERT INTO orders (key, cents, twin) VALUES ({key}, 1, 'nobody')"
        answer = await customer.send(statement, key="late")
        assert (answer.ending, answer.code) == ("error", "23503")
        assert (await customer.outcome(INSERT, key="next", cents="1")).outcome == "ok"
        customer.target.close()

    run(test)


def test_the_load_keeps_its_session_and_a_probe_has_its_own(server: Member) -> None:
    async def test() -> None:
        for keep, sessions in ((True, 1), (False, 3)):
            customer = Customer(server.address, keep=keep)
            answers = [await customer.send("SELECT pg_backend_pid() AS pid") for _ in range(3)]
            assert len({answer.read["pid"] for answer in answers}) == sessions
            customer.target.close()

    run(test)


def test_a_session_that_died_while_idle_spoils_nothing(server: Member) -> None:
    async def test() -> None:
        customer = Customer(server.address)
        pid = (await customer.send("SELECT pg_backend_pid() AS pid")).read["pid"]
        with server.connect() as connection:
            connection.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        await asyncio.sleep(0)  # what the kernel has told the loop is heard in its next turn
        answer = await customer.send("SELECT pg_backend_pid() AS pid")
        assert answer.ending == "answered"
        assert answer.read["pid"] != pid
        customer.target.close()

    run(test)


def test_a_session_that_ends_under_a_statement_is_in_doubt(server: Member) -> None:
    async def test() -> None:
        customer = Customer(server.address)
        statement = "SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(10)"
        found = await customer.outcome(statement)
        assert found.outcome == "unknown"
        assert (await customer.outcome("SELECT 1")).outcome == "ok"
        customer.target.close()

    run(test)


def test_at_its_limit_a_statement_is_in_doubt_and_the_next_one_has_a_session(server: Member) -> None:
    async def test() -> None:
        customer = Customer(server.address)
        await customer.send("SELECT 1")
        late = await customer.send("SELECT pg_sleep(30)", 0.2)
        assert late.ending == "limit"
        assert judged(journey("SELECT 1"), late).outcome == "unknown"
        assert (await customer.outcome("SELECT 1")).outcome == "ok"
        customer.target.close()

    run(test)


def test_only_a_connection_that_never_came_about_is_a_certain_failure(server: Member) -> None:
    async def test() -> None:
        nobody = Customer(own_address())
        found = await nobody.outcome(INSERT, key="a", cents="1")
        assert found.outcome == "fail"
        assert (found.error or "").startswith("connect: log-in: ")

        async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()  # as a proxy does before a dead server

        async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        for serve, ending in ((hang_up, "eof"), (say_nothing, "limit")):
            async with await asyncio.start_server(serve, "127.0.0.1", 0) as proxy:
                customer = Customer(Address(*proxy.sockets[0].getsockname()))
                answer = await customer.send(INSERT, 0.5, key="a", cents="1")
                assert (answer.ending, answer.sent_ns) == (ending, None)
                assert judged(journey(INSERT), answer).outcome == "unknown"
                customer.target.close()

        stranger = Customer(server.address, user="nobody")
        assert (await stranger.outcome(INSERT, key="a", cents="1")).outcome == "unknown"
        assert not any(one.target._under_way for one in (nobody, stranger))

    run(test)


@pytest.mark.parametrize("statement", ["SELECT '{key}'", """SELECT "{key}" FROM t""", "SELECT 'it''s {key}'"])
def test_a_placeholder_in_quotes_is_refused(statement: str) -> None:
    with pytest.raises(InputError, match="stands in quotes"):
        SqlMessages(statement, frozenset({"key"}), "here")


def test_a_placeholder_beside_quotes_is_not() -> None:
    messages = SqlMessages("SELECT 'it''s', {key}, {b.minor}, {key}::uuid", frozenset({"key", "b"}), "here")
    statement, signed = messages.make({"key": Drawn("k"), "b": Drawn("1.00", 100, "EUR")})
    assert statement == (b"SELECT 'it''s', $1, $2, $1::uuid", (b"k", b"100"))
    assert signed == b""
