"""Wrecks the rows of every table that a log-in may change, batch by batch, and comes back when it is thrown out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import psycopg
from psycopg import sql

from chaoskit.engines.grip import MARK, LogIn

# The largest first: there is most to be had, and how far he came when he is cut off hardly changes what was hit.
_TABLES = """
SELECT c.oid::regclass::text,
       array_agg(a.attname ORDER BY attnum) FILTER (WHERE atttypid IN ('text'::regtype, 'varchar'::regtype)),
       array_agg(a.attname ORDER BY attnum) FILTER (
           WHERE atttypid = 'int8'::regtype AND attidentity = '' AND NOT EXISTS (
               SELECT FROM pg_constraint WHERE conrelid = c.oid AND attnum = ANY(conkey) AND contype IN ('p', 'f')))
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace JOIN pg_attribute AS a ON attrelid = c.oid
 WHERE relkind = 'r' AND nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema'
   AND attnum > 0 AND NOT attisdropped AND has_table_privilege(c.oid, 'UPDATE')
 GROUP BY c.oid HAVING bool_or(atttypid IN ('text'::regtype, 'varchar'::regtype))
 ORDER BY pg_relation_size(c.oid) DESC, c.oid
"""
# Rules that would hinder him go first: an owner's log-in may drop them.
_RULES = "SELECT conname FROM pg_constraint WHERE conrelid = %s::regclass AND contype IN ('f', 'c')"


@dataclass
class Table:
    """A table with its columns of text and of numbers."""

    name: str
    text: list[str]
    numbers: list[str]

    def update(self, rows: int) -> sql.Composed:
        """Overwrite one batch. Whoever does not have the key cannot undo it; here nobody has."""
        salt = "md5(random()::text)"
        changes = [
            sql.SQL("{0} = {1} || md5({0} || " + salt + ")").format(sql.Identifier(one), sql.Literal(MARK))
            for one in self.text
        ] + [
            sql.SQL("{0} = ('x' || substr(md5({0}::text || " + salt + "), 1, 8))::bit(32)::bigint").format(
                sql.Identifier(one)
            )
            for one in self.numbers
        ]
        return sql.SQL(
            "UPDATE {0} SET {1} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {0} "
            "WHERE {2} IS NULL OR {2} NOT LIKE {3} LIMIT {4}))"
        ).format(
            sql.SQL(self.name),
            sql.SQL(", ").join(changes),
            sql.Identifier(self.text[0]),
            sql.Literal(MARK + "%"),
            sql.Literal(rows),
        )


class Database:
    """One server that a log-in names."""

    def __init__(self, login: LogIn, host: str, port: int, rows: int, say: Callable[..., None]) -> None:
        self._login = login
        self._host = host
        self._port = port
        self._rows = rows
        self._say = say
        self._connection: psycopg.Connection[tuple[object, ...]] | None = None
        self._tables: list[Table] = []
        self._ruled: list[Table] = []
        self._silenced: set[str] = set()
        self._begun = False
        self._last = ""

    def __str__(self) -> str:
        return f"{self._login.user}@{self._host}:{self._port}"

    def batch(self) -> None:
        """One batch of one table, the tables in turn; whatever hinders him is told once and tried again."""
        try:
            if self._connection is None or self._connection.closed:
                self._connection = self._open()
                self._tables = []
            if not self._tables:  # also on a copy that he sits on already: it may have been promoted since
                self._tables = self._look()
                self._tell("in", tables=[table.name for table in self._tables])
                self._ruled, self._silenced = list(self._tables), set()
            while self._ruled:  # all of them first: a rule of one table protects the rows of another
                self._unrule(self._connection, self._ruled[0])
                self._ruled.pop(0)
            if self._tables:
                self._tables.append(table := self._tables.pop(0))
                self._wreck(self._connection, table)
        except psycopg.Error as error:
            self._tell("hindered", why=" ".join(str(error).split())[:200])

    def _open(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            host=self._host,
            port=self._port,
            user=self._login.user,
            password=self._login.password,
            dbname=self._login.database,
            connect_timeout=2,
            autocommit=True,
            application_name="backup-agent",
            # Longer than somebody's look at all the books takes, or he never gets past the first of the rules.
            options="-c lock_timeout=2500 -c statement_timeout=3000",
        )

    def _look(self) -> list[Table]:
        assert self._connection is not None
        row = self._connection.execute("SELECT pg_is_in_recovery()").fetchone()
        if row is None or row[0]:
            return []  # a copy: nothing can be changed there, and it will follow by itself until it is promoted
        found = self._connection.execute(sql.SQL(_TABLES)).fetchall()
        return [Table(str(name), list(text or ()), list(numbers or ())) for name, text, numbers in found]  # type: ignore[call-overload]

    def _unrule(self, connection: psycopg.Connection[tuple[object, ...]], table: Table) -> None:
        name = sql.SQL(table.name)
        with connection.transaction():
            for (rule,) in connection.execute(_RULES, (table.name,)).fetchall():
                connection.execute(
                    sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(name, sql.Identifier(str(rule)))
                )

    def _wreck(self, connection: psycopg.Connection[tuple[object, ...]], table: Table) -> None:
        if not self._begun:
            self._begun = True
            row = connection.execute("SELECT pg_current_wal_insert_lsn()::text").fetchone()
            self._say("first", host=str(self), lsn=row and row[0])
        with connection.transaction():
            if table.name not in self._silenced:
                # Not sooner: an audit trail without entries is an alarm by itself.
                silence = sql.SQL("ALTER TABLE {} DISABLE TRIGGER USER").format(sql.SQL(table.name))
                connection.execute(silence)
            done = connection.execute(table.update(self._rows)).rowcount
        self._silenced.add(table.name)
        if done > 0:
            self._say("rows", host=str(self), table=table.name, rows=done)

    def _tell(self, event: str, **facts: object) -> None:
        if (line := f"{event} {facts}") != self._last:
            self._last = line
            self._say(event, host=str(self), **facts)
