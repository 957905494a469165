"""Servers that the contract suites run against, started once; how the property tests search."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.postgres import PostgresForTests, postgres_server
from tests.support.redis_server import redis_server

# the same examples on every machine, however loaded it is; HYPOTHESIS_PROFILE=explore looks for new ones
settings.register_profile(
    "repeatable", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "explore", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresForTests]:
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    with redis_server() as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of the test's own, on each engine."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'mangaassist.db'}"
    server: PostgresForTests = request.getfixturevalue("postgres")
    return server.new_database()
