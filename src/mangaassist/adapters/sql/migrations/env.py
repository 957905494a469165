"""Alembic's entry point: migrates over the connection that `migrate.py` hands in."""

from __future__ import annotations

from alembic import context

from mangaassist.adapters.sql.schema import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
with context.begin_transaction():
    context.run_migrations()
