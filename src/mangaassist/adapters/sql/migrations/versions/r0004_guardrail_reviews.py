"""What the guardrails are tuned by: channel and rules of every answer, and the review queue."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

revision: Final = "0004"
down_revision: Final = "0003"


def _moment() -> TypeEngine[Any]:
    return sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")


def _document() -> TypeEngine[Any]:
    return sa.JSON().with_variant(JSONB(), "postgresql").with_variant(sa.Text(), "sqlite")


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def upgrade() -> None:
    """Add the columns and the table."""
    op.add_column("request_records", sa.Column("channel", sa.Text(), nullable=False, server_default="chat"))
    op.add_column(
        "request_records", sa.Column("guardrail_rules", _document(), nullable=False, server_default="{}")
    )
    op.create_table(
        "guardrail_reviews",
        sa.Column("response_id", sa.Text(), nullable=False),
        sa.Column("created_at", _moment(), nullable=False),
        *(_text(name) for name in ("reason", "intent", "channel", "phase")),
        sa.Column("stage", sa.Text()),
        sa.Column("rule_id", sa.Text()),
        *(_text(name) for name in ("action", "ruleset_version", "question", "text")),
        sa.Column("findings", _document(), nullable=False),
        *(sa.Column(name, sa.Text()) for name in ("label", "note", "labelled_by")),
        sa.Column("labelled_at", _moment()),
        sa.PrimaryKeyConstraint("response_id", name="pk_guardrail_reviews"),
        sa.ForeignKeyConstraint(
            ["response_id"], ["request_records.response_id"], name="fk_guardrail_reviews_response_id"
        ),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("guardrail_reviews")
    op.drop_column("request_records", "guardrail_rules")
    op.drop_column("request_records", "channel")
