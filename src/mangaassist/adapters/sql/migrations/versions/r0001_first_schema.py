"""Sessions, turns, request records, feedback, budgets and the outbox."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

revision: Final = "0001"
down_revision: Final = None


def _moment() -> TypeEngine[Any]:
    return sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")


def _document() -> TypeEngine[Any]:
    return sa.JSON().with_variant(JSONB(), "postgresql").with_variant(sa.Text(), "sqlite")


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def upgrade() -> None:
    """Create every table."""
    _conversations()
    _request_records()
    _feedback_and_outbox()
    _budgets()


def downgrade() -> None:
    """Drop every table with what is in it."""
    for table in ("outbox", "feedback", "request_records", "turns", "sessions"):
        op.drop_table(table)
    op.drop_table("budget_reservations")
    op.drop_table("budgets")


def _conversations() -> None:
    op.create_table(
        "sessions",
        _text("session_id"),
        _text("owner"),
        sa.Column("state", _document(), nullable=False),
        sa.Column("created_at", _moment(), nullable=False),
        sa.Column("updated_at", _moment(), nullable=False),
        sa.Column("turn_count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", name="pk_sessions"),
    )
    op.create_table(
        "turns",
        _text("response_id"),
        _text("session_id"),
        sa.Column("seq", sa.Integer(), nullable=False),
        _text("user_text"),
        _text("assistant_text"),
        _text("intent"),
        sa.Column("created_at", _moment(), nullable=False),
        sa.PrimaryKeyConstraint("response_id", name="pk_turns"),
        sa.ForeignKeyConstraint(["session_id"], ["sessions.session_id"], name="fk_turns_session_id"),
        sa.UniqueConstraint("session_id", "seq", name="uq_turns_session_id_seq"),
    )


def _request_records() -> None:
    op.create_table(
        "request_records",
        *(_text(name) for name in ("response_id", "request_id", "trace_id", "session_id", "owner")),
        sa.Column("created_at", _moment(), nullable=False),
        _text("intent"),
        sa.Column("confidence", sa.Float(53), nullable=False),
        *(
            _text(name)
            for name in (
                "classification_path", "route", "release_bundle", "prompt_version", "model_id",
                "page_type", "user_type", "locale",
            )
        ),
        sa.Column("cache_hit", sa.Boolean(), nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("output_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cached_input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("latency_ms", sa.Float(53), nullable=False),
        sa.Column("time_to_first_token_ms", sa.Float(53), nullable=True),
        _text("guardrail_action"),
        sa.Column("guardrail_scores", _document(), nullable=False),
        sa.Column("chunk_ids", _document(), nullable=False),
        sa.Column("step_ms", _document(), nullable=False),
        *(_text(name) for name in ("outcome", "service_level", "sampling_reason")),
        sa.PrimaryKeyConstraint("response_id", name="pk_request_records"),
        sa.ForeignKeyConstraint(
            ["response_id"], ["turns.response_id"], name="fk_request_records_response_id"
        ),
    )  # fmt: skip
    op.create_index(
        "ix_request_records_created_at_response_id", "request_records", ["created_at", "response_id"]
    )


def _feedback_and_outbox() -> None:
    op.create_table(
        "feedback",
        *(_text(name) for name in ("feedback_id", "response_id", "trace_id", "feedback")),
        sa.Column("timestamp", _moment(), nullable=False),
        sa.Column("reason_code", sa.Text(), nullable=True),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("feedback_id", name="pk_feedback"),
        sa.ForeignKeyConstraint(
            ["response_id"], ["request_records.response_id"], name="fk_feedback_response_id"
        ),
        sa.UniqueConstraint("response_id", "feedback", name="uq_feedback_response_id_feedback"),
    )
    op.create_table(
        "outbox",
        *(_text(name) for name in ("id", "kind", "subject_id")),
        sa.Column("payload", _document(), nullable=False),
        sa.Column("created_at", _moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        sa.UniqueConstraint("kind", "subject_id", name="uq_outbox_kind_subject_id"),
    )


def _budgets() -> None:
    op.create_table(
        "budgets",
        _text("session_id"),
        sa.Column("limit_tokens", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", _moment(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", name="pk_budgets"),
    )
    op.create_table(
        "budget_reservations",
        *(_text(name) for name in ("reservation_id", "session_id", "level")),
        sa.Column("reserved_tokens", sa.BigInteger(), nullable=False),
        sa.Column("used_tokens", sa.BigInteger(), nullable=True),
        sa.Column("expires_at", _moment(), nullable=False),
        sa.PrimaryKeyConstraint("reservation_id", name="pk_budget_reservations"),
    )
    op.create_index("ix_budget_reservations_session_id", "budget_reservations", ["session_id"])
