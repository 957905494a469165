"""Whole request records, contents with customer keys, the columnar copy's outbox, values of outcomes."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

revision: Final = "0002"
down_revision: Final = "0001"


def _moment() -> TypeEngine[Any]:
    return sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")


def _document() -> TypeEngine[Any]:
    return sa.JSON().with_variant(JSONB(), "postgresql").with_variant(sa.Text(), "sqlite")


def _columns() -> tuple[sa.Column[Any], ...]:
    """The columns of `request_records` that came with this revision."""

    def required(name: str, kind: TypeEngine[Any], default: Any) -> sa.Column[Any]:
        return sa.Column(name, kind, nullable=False, server_default=default)

    return (
        required("deployment_stage", sa.Text(), "prod"),
        required("region", sa.Text(), "local"),
        required("assignments", _document(), "{}"),
        required("versions", _document(), "{}"),
        required("provider", sa.Text(), "none"),
        sa.Column("stop_reason", sa.Text()),
        required("retries", sa.Integer(), "0"),
        required("fallback_model", sa.Boolean(), sa.false()),
        required("cache_write_tokens", sa.BigInteger(), "0"),
        required("tokens_estimated", sa.Boolean(), sa.false()),
        sa.Column("cost_usd", sa.Float(53)),
        sa.Column("guardrail_stage", sa.Text()),
        sa.Column("guardrail_rule", sa.Text()),
        required("guardrail_actions", _document(), "{}"),
        required("chunk_hashes", _document(), "[]"),
        sa.Column("prompt_hash", sa.Text()),
        sa.Column("capsule", sa.Text()),
    )


def upgrade() -> None:
    """Add what is new; records and feedback that exist already enter the copy's outbox."""
    for column in _columns():
        op.add_column("request_records", column)
    op.create_index("ix_request_records_trace_id", "request_records", ["trace_id"])
    op.create_index("ix_request_records_owner_created_at", "request_records", ["owner", "created_at"])
    op.add_column("feedback", sa.Column("value", sa.Float(53)))
    op.create_table(
        "copy_outbox",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "subject_id", name="pk_copy_outbox"),
    )
    op.execute("INSERT INTO copy_outbox SELECT 'record', response_id FROM request_records")
    op.execute("INSERT INTO copy_outbox SELECT 'feedback', feedback_id FROM feedback")
    op.create_table(
        "contents",
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text()),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("kept_until", _moment(), nullable=False),
        sa.PrimaryKeyConstraint("address", name="pk_contents"),
    )
    op.create_index("ix_contents_kept_until", "contents", ["kept_until"])
    op.create_index("ix_contents_key_id", "contents", ["key_id"])
    op.create_table(
        "customer_keys",
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", _moment(), nullable=False),
        sa.PrimaryKeyConstraint("key_id", name="pk_customer_keys"),
        sa.UniqueConstraint("owner", name="uq_customer_keys_owner"),
    )


def downgrade() -> None:
    """Take it all away again."""
    for table in ("customer_keys", "contents", "copy_outbox"):
        op.drop_table(table)
    op.drop_column("feedback", "value")
    op.drop_index("ix_request_records_owner_created_at", "request_records")
    op.drop_index("ix_request_records_trace_id", "request_records")
    for column in reversed(_columns()):
        op.drop_column("request_records", column.name)
