"""Brings a database to the current revision.

SQLAlchemy and Alembic are imported only when there is something to migrate: together they cost over a
CPU second, and a server that starts on a current database needs neither.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mangaassist.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy import Connection

HEAD_REVISION: Final = "0004"
"""The newest revision under `migrations/versions`; a test holds it to that."""

STORED_REVISION: Final = "SELECT version_num FROM alembic_version"

_LOCK_KEY: Final = 0x6D616E6761  # "manga": the advisory lock of migrating processes


def upgrade_sqlite(path: Path) -> None:
    """Migrate the file; processes that arrive together take turns."""
    from sqlalchemy import create_engine

    engine = create_engine(
        "sqlite://", creator=lambda: sqlite3.connect(path, timeout=30, isolation_level=None)
    )
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            _upgrade(connection)
            connection.commit()
    finally:
        engine.dispose()


def upgrade_postgres(conninfo: str) -> None:
    """Migrate the database; processes that arrive together take turns."""
    import psycopg
    from sqlalchemy import create_engine

    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(conninfo))
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK_KEY})")
            _upgrade(connection)
            connection.commit()
    finally:
        engine.dispose()


def _upgrade(connection: Connection) -> None:
    """Run what is missing inside the transaction that holds the lock."""
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, HEAD_REVISION)
    except CommandError as error:
        raise ConfigurationError(
            f"the database cannot be brought to revision {HEAD_REVISION!r} ({error}); was it migrated by a "
            "newer version? Run that version, or restore the backup taken before it"
        ) from error
