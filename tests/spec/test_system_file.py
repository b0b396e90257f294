"""Mistakes in system files: each told at its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaoskit import spec
from chaoskit.errors import InputError
from tests.spec import sample_files
from tests.spec.fake_members import FakeRegistry

ONE_MISTAKE = [
    ("compose: compose.yaml", "compose: compos.yaml", "2:10: 'compos.yaml': no such Compose file"),
    ("compose: compose.yaml", "compose: ..", "2:10: '..': is there, but is no regular file"),
    ("compose: fast.yaml", "compose: fats.yaml", "3:28: 'fats.yaml': no such Compose file"),
    ("[db, app]", "[db, ap]", "4:21: no service is called 'ap'"),
    ("[db, app]", "[db, app, db]", "4:26: 'db' already stands in the site `north`"),
    ("[db, app]", "[db, app], south: [db]", "4:35: 'db' already stands in the site `north`"),
    ("{north: [", "{app: [", "4:9: `app` is a service; call the site something else"),
    ("[db, app]", "[]", "4:16: `north`: at least one entry is needed"),
    ("primary: db,", "primary: dbb,", "6:43: no service is called 'dbb'"),
    ("standby: db2,", "standby: db,", "6:56: primary and standby are the same service"),
    ("engine: postgresql", "engine: mysql", "6:22: `engine`: 'mysql' is not allowed"),
    ("engine: postgresql, ", "", "6:13: `engine` is missing"),
    (
        "- app -> db\n",
        "- app = db\n",
        "9:5: `links`: 'app = db' is no link; write it like 'gateway -> ledger'",
    ),
    ("- app -> db\n", "- app -> dbb\n", "9:5: no service is called 'dbb'"),
    ("- app -> db\n", "- app -> app\n", "9:5: 'app -> app': a service does not call itself"),
    ("- app -> db\n", "- app -> db2\n", "10:5: the link 'app -> db2' is declared twice"),
    ("- app -> db\n", "- app -> customers\n", "9:5: 'app -> customers': customers call, nobody calls them"),
    ("- customers -> app", "- db -> app", "16:11: customers reach `app` over no link"),
    ("A{n:03d}", "A", "13:40: 'A' is no pool's format"),
    ("A{n:03d}", "A{n:0999999999d}", "13:40: 'A{n:0999999999d}' is no pool's format"),
    ("A{n:03d}", "A{m}", "13:40: 'A{m}' is no pool's format"),
    ("count: 10", "count: 0", "13:28: `count`: 0 is out of range: at least 1"),
    ("post: app/transfers", "post: transfers", "16:11: 'transfers' is no service/path"),
    (
        "post: app/transfers",
        "post: http://app:80/transfers",
        "16:11: 'http://app:80/transfers' is no service/path",
    ),
    ("post: app/transfers", "post: ap/transfers", "16:11: no service is called 'ap'"),
    (
        "    post: app/transfers\n",
        "",
        "15:3: `transfer` needs exactly one of get, post, put, sql, class; it has 0",
    ),
    ("get: app/accounts/{account}\n", "get: app/accounts/{acount}\n", "25:10: '{acount}' is not drawn"),
    ('"{payer}"', '"{payr}"', "17:31: '{payr}' is not drawn"),
    ("payer: account", "payer: acount", "19:14: no pool is called 'acount'"),
    (
        "from: account, except: payer",
        "from: account, except: payr",
        "20:38: no value drawn without `except` is called 'payr'",
    ),
    ("from: account, except", "from: acount, except", "20:21: no pool is called 'acount'"),
    ('["1 CNY", "2 CNY"]', '["3 CNY", "2 CNY"]', "21:25: 3 CNY is more than 2 CNY"),
    ('["1 CNY", "2 CNY"]', '["1 EUR", "2 CNY"]', "21:25: 1 EUR and 2 CNY are two currencies"),
    ('["1 CNY", "2 CNY"]', '[1, "2 CNY"]', "21:26: `between`: 1 is no amount of money"),
    ('["1 CNY", "2 CNY"]', '["1 CNY", "2.005 CNY"]', "21:35: 2.005 CNY has more than two decimals"),
    ("count: 10", "count: 1", "20:21: the pool `account` has one member"),
    ('"{payer}"', '"{payer.minor}"', "17:31: '{payer.minor}' is not drawn"),
    (
        "    books: ledger\n",
        "    headers: {Connection: close}\n",
        "22:15: `Connection` is set by the measurer",
    ),
    ("books: ledger", "books: leger", "22:12: no book is called 'leger'"),
    ("status: 201", "status: x", "23:20: `status`: 'x' is no whole number and no list"),
    ("status: [200, 203]", "status: [200, x]", "27:26: `status`: 'x' is no whole number"),
    ("within: 1s}\n  balance", "within: 0s}\n  balance", "23:33: `within` is 0"),
    ("on: database, entries", "on: databse, entries", "29:16: no role is called 'databse'"),
    ("entries: entries.sql", "entries: entres.sql", "29:35: 'entres.sql': no such query"),
    ("db2: {postgresql: standby}", "db2: {postgresql: primary}", "32:21: no role has `db2` as its primary"),
    ("app: {run:", "ap: {run:", "33:3: no service is called 'ap'"),
    ("run: python -m app,", "run: 'python -m app {adress}',", "33:14: '{adress}' is not filled in"),
    ("run: python -m app", "run: python -m app, path: nowhere", "33:35: 'nowhere': no such folder"),
    ("run: python -m app", "start_within: 3s, run: x", "33:9: unknown key `start_within`"),
]


@pytest.mark.parametrize(("old", "new", "says"), ONE_MISTAKE, ids=[says[:50] for *_, says in ONE_MISTAKE])
def test_one_mistake_is_told_at_its_place(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in sample_files.SYSTEM
    path = sample_files.write(tmp_path, system=sample_files.SYSTEM.replace(old, new, 1))
    with pytest.raises(InputError) as caught:
        spec.load(path, FakeRegistry(), {})
    said = [str(problem).replace(f"{tmp_path}/", "") for problem in caught.value.problems]
    assert any(one.startswith(f"system.yaml:{says}") for one in said), "\n".join(said)


def test_a_missing_system_file_and_a_broken_one(tmp_path: Path) -> None:
    path = sample_files.write(tmp_path, system="a: [\n")
    with pytest.raises(InputError, match=r"system.yaml:1:4: not YAML"):
        spec.load(path, FakeRegistry(), {})
    with pytest.raises(InputError, match=r"no such drill file"):
        spec.load(tmp_path / "none.yaml", FakeRegistry(), {})


@pytest.mark.parametrize(
    ("accepted", "words"),
    [
        ("{status: [202]}", None),
        ("{status: [202], limit: 9 CNY, per: payer, replay: app/again}", None),
        ("{status: []}", "status"),
        ("{status: [201]}", "201 is good or refused already"),
        ("{status: [503]}", "503 promises nothing"),
        ("{status: [202, 99]}", "99 promises nothing"),
        ("{status: [202], limit: 9 USD, per: payer}", "amounts are drawn in CNY"),
        ("{status: [202], limit: 9 CNY}", "whose limit?"),
        ("{status: [202], limit: 9}", "amount of money"),
        ("{status: [202], limit: 9 CNY, per: payr}", "no drawn value is called 'payr'"),
        ("{status: [202], replay: app}", "is no service/path"),
        ("{status: [202], replay: apq/again}", "no service is called 'apq'"),
    ],
)
def test_what_a_promise_needs_must_be_there(tmp_path: Path, accepted: str, words: str | None) -> None:
    good = "    good: {status: 201, within: 1s}\n"
    assert sample_files.SYSTEM.count(good) == 1
    system = sample_files.SYSTEM.replace(good, f"{good}    accepted: {accepted}\n")
    path = sample_files.write(tmp_path, system=system)
    if words is None:
        assert spec.load(path, FakeRegistry(), {}).system.journeys["transfer"].accepted is not None
        return
    with pytest.raises(InputError) as caught:
        spec.load(path, FakeRegistry(), {})
    assert words in str(caught.value)
    assert "system.yaml:" in str(caught.value)


def test_a_promise_needs_books_and_an_amount(tmp_path: Path) -> None:
    good = "    good: {status: [200, 203], within: 1s}\n"
    system = sample_files.SYSTEM.replace(
        good, f"{good}    accepted: {{status: [202], limit: 9 CNY, per: account}}\n"
    )
    with pytest.raises(InputError) as caught:
        spec.load(sample_files.write(tmp_path, system=system), FakeRegistry(), {})
    assert "a promise needs `books:`" in str(caught.value)
    assert "no amount is drawn" in str(caught.value)


@pytest.mark.parametrize(
    ("backups", "words"),
    [
        ("nightly: {of: databse}", "no role is called 'databse'"),
        ("nightly: {of: database, restore-point: app/last}", "needs both restore-point and proof"),
        ("nightly: {of: database, resubmit: app}", "is no service/path"),
        ("nightly: {of: database, resubmit: apq/again}", "no service is called 'apq'"),
        ("nightly: {of: database, restore-point: app/last, proof: gone.sql}", "no such query"),
        ("nightly: {of: database, volume: share}", "no volume is called 'share'"),
    ],
)
def test_what_backups_name_must_be_there(tmp_path: Path, backups: str, words: str) -> None:
    system = f"{sample_files.SYSTEM}backups:\n  {backups}\n"
    path = sample_files.write(tmp_path, system=system)
    with pytest.raises(InputError) as caught:
        spec.load(path, FakeRegistry(), {})
    assert words in str(caught.value)
    assert "system.yaml:" in str(caught.value)
