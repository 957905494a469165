"""The database behind the stores: durability, several processes, migrations, failures."""

from __future__ import annotations

import asyncio
import resource
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from tools.sqlite_schema import script

from mangaassist.adapters.sql import migrate
from mangaassist.adapters.sql.postgres import PostgresDatabase
from mangaassist.adapters.sql.records import RECORD_COLUMNS
from mangaassist.adapters.sql.schema import METADATA, REQUEST_RECORDS
from mangaassist.adapters.sql.sessions import SqlSessionStore
from mangaassist.adapters.sql.sqlite import NEW_DATABASE
from mangaassist.adapters.sql.storage import SqlStorage
from mangaassist.domain.budget import BudgetPolicy
from mangaassist.domain.errors import ConfigurationError, DependencyUnavailableError, InvalidRequestError
from tests.support.clock import FakeClock, SequentialIds
from tests.support.postgres import PostgresForTests
from tests.support.stored import MOMENT, make_feedback, make_record, make_write


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[SqlStorage]:
    storage = await SqlStorage.open(url, clock=FakeClock(), ids=SequentialIds())
    yield storage
    await storage.close()


def other_process(command: str, url: str, session_id: str, count: int, name: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.storage_process", command, url, session_id, str(count), name],
        stdout=subprocess.PIPE,
        text=True,
    )


# --- durability and several processes ---


async def test_a_killed_process_loses_no_acknowledged_turn(database_url: str) -> None:
    async with opened(database_url):
        pass  # migrated
    process = other_process("append", database_url, "ses_1", 500, "res")
    assert process.stdout is not None
    acknowledged = [process.stdout.readline().strip() for _ in range(150)]

    process.send_signal(signal.SIGKILL)
    acknowledged += [line.strip() for line in process.stdout if line.endswith("\n")]
    process.wait()
    process.stdout.close()

    async with opened(database_url) as storage:
        session = await storage.sessions.load("ses_1", owner="visitor:1", last_turns=1_000)
        stored = [turn.response_id for turn in session.turns]
        assert len(stored) == len(set(stored)) < 500
        assert set(acknowledged) <= set(stored)
        for response_id in stored:
            assert (await storage.sessions.record(response_id)).response_id == response_id
        await storage.sessions.append(make_write("res-0499"))  # and it goes on from there


async def test_two_processes_never_reserve_more_than_the_limit(database_url: str) -> None:
    async with opened(database_url) as storage:
        processes = [other_process("reserve", database_url, "ses_1", 500, name) for name in ("one", "two")]
        here = await asyncio.gather(
            *(storage.budgets.reserve("ses_1", f"here-{number}", BudgetPolicy()) for number in range(300))
        )
        outputs = [await asyncio.to_thread(process.communicate) for process in processes]

    total = sum(int(output) for output, _ in outputs) + sum(one.reserved_tokens for one in here)
    assert 40_000 - 1_200 < total <= 40_000


async def test_two_servers_on_one_database_share_sessions(database_url: str) -> None:
    async with opened(database_url) as one, opened(database_url) as two:
        await one.sessions.append(make_write("res_1"))
        await two.sessions.append(make_write("res_2"))
        await asyncio.gather(
            *(server.sessions.append(make_write(f"{name}-{n}")) for n in range(50) for name, server in
              (("one", one), ("two", two)))
        )  # fmt: skip

        here = await one.sessions.load("ses_1", owner="visitor:1", last_turns=1_000)
        there = await two.sessions.load("ses_1", owner="visitor:1", last_turns=1_000)

        assert here == there
        assert len(here.turns) == 102
        assert await two.feedback.add(make_feedback("res_1"), owner="visitor:1") == "stored"
        assert await one.feedback.add(make_feedback("res_1"), owner="visitor:1") == "repeated"


async def test_the_same_turn_from_two_servers_is_stored_once(database_url: str) -> None:
    async with opened(database_url) as one, opened(database_url) as two:
        await asyncio.gather(
            *(server.sessions.append(make_write(f"res_{n}")) for n in range(40) for server in (one, two))
        )

        session = await one.sessions.load("ses_1", owner="visitor:1", last_turns=1_000)
        assert sorted(turn.response_id for turn in session.turns) == sorted(f"res_{n}" for n in range(40))


async def test_processes_that_start_together_on_a_new_database_all_open_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new' / 'mangaassist.db'}"
    processes = [other_process("append", url, f"ses_{n}", 5, f"res_{n}") for n in range(4)]
    outputs = [await asyncio.to_thread(process.communicate) for process in processes]

    assert [len(output.splitlines()) for output, _ in outputs] == [5, 5, 5, 5]


# --- reading for other processes ---


async def test_records_are_read_page_by_page(database_url: str) -> None:
    async with opened(database_url) as storage:
        for number in range(5):  # two share a moment
            moment = MOMENT + timedelta(seconds=number // 2)
            await storage.sessions.append(make_write(f"res_{number}", created_at=moment))

        first = await storage.records.since(MOMENT, limit=3)
        rest = await storage.records.since(first[-1].created_at, after=first[-1].response_id, limit=3)

        assert [record.response_id for record in (*first, *rest)] == [f"res_{n}" for n in range(5)]
        assert first[0] == make_record("res_0")
        assert await storage.records.since(MOMENT + timedelta(hours=1), limit=3) == ()


async def test_feedback_waits_in_the_outbox_until_it_is_carried(database_url: str) -> None:
    async with opened(database_url) as storage:
        await storage.sessions.append(make_write("res_1"))
        await storage.feedback.add(make_feedback("res_1"), owner="visitor:1")
        await storage.feedback.add(make_feedback("res_1", feedback_id="again"), owner="visitor:1")

        (item,) = await storage.outbox.pending(limit=10)
        assert item.kind == "feedback"
        assert item.payload == {"feedback_id": "fb_1", "response_id": "res_1"}

        await storage.outbox.done(item.item_id)
        await storage.outbox.done(item.item_id)
        assert await storage.outbox.pending(limit=10) == ()


# --- schema ---


def test_the_migrations_build_the_declared_schema_on_sqlite(tmp_path: Path) -> None:
    path = tmp_path / "migrated.db"
    migrate.upgrade_sqlite(path)
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
    engine.dispose()


@pytest.mark.postgres
def test_the_migrations_build_the_declared_schema_on_postgres(postgres: PostgresForTests) -> None:
    url = postgres.new_database()
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url))
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
    engine.dispose()


def test_a_new_sqlite_file_is_set_up_as_the_migrations_would(tmp_path: Path) -> None:
    assert NEW_DATABASE.read_text() == script(), "run `python -m tools.sqlite_schema`"
    migrate.upgrade_sqlite(tmp_path / "migrated.db")
    with sqlite3.connect(tmp_path / "new.db") as new, sqlite3.connect(tmp_path / "migrated.db") as migrated:
        new.executescript(NEW_DATABASE.read_text())
        assert shape(new) == shape(migrated)
    new.close()
    migrated.close()


def shape(connection: sqlite3.Connection) -> dict[str, object]:
    """Columns, indexes and foreign keys by table, whatever the order of the statements was."""
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {
        table: [
            sorted(connection.execute(f"PRAGMA {part}({table})").fetchall(), key=str)
            for part in ("table_info", "foreign_key_list")
        ]
        + [sorted(row[1] for row in connection.execute(f"PRAGMA index_list({table})"))]
        for table in tables
    }


def test_the_head_revision_is_the_newest_migration() -> None:
    scripts = ScriptDirectory(str(Path(migrate.__file__).parent / "migrations"))

    assert scripts.get_current_head() == migrate.HEAD_REVISION


def test_every_field_of_a_record_has_a_column_and_a_description() -> None:
    reference = (Path(__file__).parents[2] / "docs/reference/request-record.md").read_text()

    assert tuple(column.name for column in REQUEST_RECORDS.columns) == RECORD_COLUMNS
    assert [name for name in RECORD_COLUMNS if f"| `{name}` |" not in reference] == []


@pytest.mark.postgres
async def test_an_empty_postgres_database_is_migrated_when_opened(postgres: PostgresForTests) -> None:
    async with opened(postgres.new_database(empty=True)) as storage:
        await storage.sessions.append(make_write("res_1"))
        assert storage.healthy()


async def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mangaassist.db"
    async with opened(f"sqlite:///{path}"):
        pass
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()

    with pytest.raises(ConfigurationError, match="newer version"):
        await SqlStorage.open(f"sqlite:///{path}", clock=FakeClock(), ids=SequentialIds())


def test_opening_a_current_sqlite_database_imports_no_sqlalchemy(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys\n"
        "from mangaassist.adapters.sql.storage import SqlStorage\n"
        "from mangaassist.bootstrap.clock import RandomIds, SystemClock\n"
        "async def main():\n"
        "    storage = await SqlStorage.open(sys.argv[1], clock=SystemClock(), ids=RandomIds())\n"
        "    await storage.close()\n"
        "asyncio.run(main())\n"
        "print(sorted({'sqlalchemy', 'alembic', 'psycopg'} & set(sys.modules)))\n"
    )
    url = f"sqlite:///{tmp_path / 'mangaassist.db'}"

    done = subprocess.run([sys.executable, "-c", program, url], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


# --- failures ---


async def test_the_sqlite_files_are_their_owners_only(tmp_path: Path) -> None:
    path = tmp_path / "var" / "mangaassist.db"
    async with opened(f"sqlite:///{path}") as storage:
        await storage.sessions.append(make_write("res_1"))
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}

    assert set(modes.values()) == {0o600}, modes
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_a_full_disk_is_an_unavailable_database_until_there_is_room(tmp_path: Path) -> None:
    async with opened(f"sqlite:///{tmp_path / 'mangaassist.db'}") as storage:
        await storage.sessions.append(make_write("res_1"))
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
        try:
            with pytest.raises(DependencyUnavailableError):
                await storage.sessions.append(make_write("res_2", user_text="x" * 100_000))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert not storage.healthy()

        await storage.sessions.append(make_write("res_2"))

        assert storage.healthy()
        session = await storage.sessions.load("ses_1", owner="visitor:1", last_turns=9)
        assert len(session.turns) == 2


async def test_a_file_that_is_no_database_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "notes.db").write_text("not a database, " * 100)

    with pytest.raises(DependencyUnavailableError, match=r"notes\.db"):
        await SqlStorage.open(f"sqlite:///{tmp_path / 'notes.db'}", clock=FakeClock(), ids=SequentialIds())


async def test_closing_finishes_what_is_queued_and_refuses_more(database_url: str) -> None:
    storage = await SqlStorage.open(database_url, clock=FakeClock(), ids=SequentialIds())
    writes = [asyncio.ensure_future(storage.sessions.append(make_write(f"res_{n}"))) for n in range(50)]
    await asyncio.sleep(0)  # let them queue

    await storage.close()
    await storage.close()

    await asyncio.gather(*writes)
    with pytest.raises(DependencyUnavailableError):
        await storage.sessions.append(make_write("res_late"))
    assert not storage.healthy()


@pytest.mark.parametrize("url", ["mysql://host/name", "sqlite://", "sqlite:///:memory:", "nonsense"])
async def test_an_unknown_database_is_a_configuration_error(url: str) -> None:
    with pytest.raises(ConfigurationError, match="expected 'sqlite:///PATH'"):
        await SqlStorage.open(url, clock=FakeClock(), ids=SequentialIds())


def test_without_psycopg_the_missing_extra_is_named() -> None:
    program = (
        "import sys\n"
        "sys.modules['psycopg'] = None\n"
        "from mangaassist.domain.errors import ConfigurationError\n"
        "try:\n"
        "    import mangaassist.adapters.sql.postgres\n"
        "except ConfigurationError as error:\n"
        "    print(error)\n"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "`psycopg` is not installed; install the `postgres` extra\n"


@pytest.mark.postgres
async def test_cut_connections_are_replaced(postgres: PostgresForTests) -> None:
    async with opened(postgres.new_database()) as storage:
        await storage.sessions.append(make_write("res_1"))

        for number in range(2, 5):
            cut_all_connections(postgres)
            await storage.sessions.append(make_write(f"res_{number}"))
            cut_all_connections(postgres)
            session = await storage.sessions.load("ses_1", owner="visitor:1", last_turns=9)
            cut_all_connections(postgres)
            await storage.budgets.reserve("ses_1", f"r{number}", BudgetPolicy())

        assert len(session.turns) == 4


@pytest.mark.postgres
async def test_a_server_that_is_gone_is_unavailable_until_it_is_back(postgres: PostgresForTests) -> None:
    url = postgres.new_database()
    name = url.partition(":@/")[2].partition("?")[0]
    database = await PostgresDatabase.open(url, pool_timeout_s=0.3)
    sessions = SqlSessionStore(database)
    postgres.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    cut_all_connections(postgres)

    with pytest.raises(DependencyUnavailableError):
        await sessions.append(make_write("res_1"))
    with pytest.raises(DependencyUnavailableError):
        await sessions.load("ses_1", owner="visitor:1", last_turns=1)
    assert not database.healthy()

    postgres.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    while not database.healthy():  # every call asks the server again, in the background
        await asyncio.to_thread(postgres.execute, "SELECT pg_sleep(0.01)")
    await sessions.append(make_write("res_1"))
    await database.close()


@pytest.mark.postgres
async def test_a_server_that_cannot_be_reached_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(DependencyUnavailableError):
        await SqlStorage.open(
            f"postgresql://postgres@/postgres?host={tmp_path}", clock=FakeClock(), ids=SequentialIds()
        )


@pytest.mark.postgres
async def test_a_text_with_a_nul_is_refused_by_postgres_alone(postgres: PostgresForTests) -> None:
    async with opened(postgres.new_database()) as storage:
        outcomes = await asyncio.gather(
            storage.sessions.append(make_write("res_1", user_text="nul \x00")),
            storage.sessions.append(make_write("res_2")),
            return_exceptions=True,
        )

        assert isinstance(outcomes[0], InvalidRequestError)
        assert outcomes[1] is None


def cut_all_connections(postgres: PostgresForTests) -> None:
    postgres.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'mangaassist' AND pid <> pg_backend_pid()"
    )
