"""Writes `new_database.sql`, the script that sets up an empty SQLite file, from the declared schema.

Run `python -m tools.sqlite_schema` after adding a migration.
"""

from __future__ import annotations

from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from mangaassist.adapters.sql.migrate import HEAD_REVISION
from mangaassist.adapters.sql.schema import METADATA
from mangaassist.adapters.sql.sqlite import NEW_DATABASE


def script() -> str:
    """Return the statements, separated by `;` and an empty line."""
    dialect = sqlite.dialect()
    statements = [
        "CREATE TABLE alembic_version (\n\tversion_num VARCHAR(32) NOT NULL, \n"
        "\tCONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)\n)",
        f"INSERT INTO alembic_version (version_num) VALUES ('{HEAD_REVISION}')",
    ]
    for table in METADATA.sorted_tables:
        statements.append(str(CreateTable(table).compile(dialect=dialect)))
        indexes = sorted(table.indexes, key=lambda index: str(index.name))
        statements.extend(str(CreateIndex(index).compile(dialect=dialect)) for index in indexes)
    lines = ";\n\n".join(statement.strip() for statement in statements).replace("\t", "    ").splitlines()
    return "\n".join(line.rstrip() for line in lines) + "\n"


if __name__ == "__main__":
    NEW_DATABASE.write_text(script())
