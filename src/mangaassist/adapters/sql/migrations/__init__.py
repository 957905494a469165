"""Alembic migrations, run when storage is opened."""
