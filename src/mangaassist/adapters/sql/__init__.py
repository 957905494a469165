"""Durable storage on SQLite and PostgreSQL: one schema, one set of statements, two engines."""
