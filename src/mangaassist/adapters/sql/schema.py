"""The tables, as migrations leave them; a test compares this with what the migrations build.

Times are UTC: `timestamptz` on PostgreSQL, sortable ISO 8601 text on SQLite. Serving runs fixed SQL
text and never imports this module, because importing SQLAlchemy costs half a CPU second of start-up.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    false,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

METADATA: Final = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


def _moment() -> TypeEngine[Any]:
    return DateTime(timezone=True).with_variant(Text(), "sqlite")


def _document() -> TypeEngine[Any]:
    return JSON().with_variant(JSONB(), "postgresql").with_variant(Text(), "sqlite")


SESSIONS: Final = Table(
    "sessions",
    METADATA,
    Column("session_id", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("state", _document(), nullable=False),
    Column("created_at", _moment(), nullable=False),
    Column("updated_at", _moment(), nullable=False),
    Column("turn_count", Integer, nullable=False),
)

TURNS: Final = Table(
    "turns",
    METADATA,
    Column("response_id", Text, primary_key=True),
    Column("session_id", Text, ForeignKey("sessions.session_id"), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("user_text", Text, nullable=False),
    Column("assistant_text", Text, nullable=False),
    Column("intent", Text, nullable=False),
    Column("created_at", _moment(), nullable=False),
    UniqueConstraint("session_id", "seq"),
)

REQUEST_RECORDS: Final = Table(
    "request_records",
    METADATA,
    Column("response_id", Text, ForeignKey("turns.response_id"), primary_key=True),
    Column("request_id", Text, nullable=False),
    Column("trace_id", Text, nullable=False),
    Column("session_id", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("created_at", _moment(), nullable=False),
    Column("intent", Text, nullable=False),
    Column("confidence", Float(53), nullable=False),
    Column("classification_path", Text, nullable=False),
    Column("route", Text, nullable=False),
    Column("release_bundle", Text, nullable=False),
    Column("prompt_version", Text, nullable=False),
    Column("model_id", Text, nullable=False),
    Column("page_type", Text, nullable=False),
    Column("user_type", Text, nullable=False),
    Column("locale", Text, nullable=False),
    Column("cache_hit", Boolean, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("cached_input_tokens", BigInteger, nullable=False),
    Column("latency_ms", Float(53), nullable=False),
    Column("time_to_first_token_ms", Float(53)),
    Column("guardrail_action", Text, nullable=False),
    Column("guardrail_scores", _document(), nullable=False),
    Column("chunk_ids", _document(), nullable=False),
    Column("step_ms", _document(), nullable=False),
    Column("outcome", Text, nullable=False),
    Column("service_level", Text, nullable=False),
    Column("sampling_reason", Text, nullable=False),
    Column("deployment_stage", Text, nullable=False, server_default="prod"),
    Column("region", Text, nullable=False, server_default="local"),
    Column("assignments", _document(), nullable=False, server_default="{}"),
    Column("versions", _document(), nullable=False, server_default="{}"),
    Column("provider", Text, nullable=False, server_default="none"),
    Column("stop_reason", Text),
    Column("retries", Integer, nullable=False, server_default="0"),
    Column("fallback_model", Boolean, nullable=False, server_default=false()),
    Column("cache_write_tokens", BigInteger, nullable=False, server_default="0"),
    Column("tokens_estimated", Boolean, nullable=False, server_default=false()),
    Column("cost_usd", Float(53)),
    Column("guardrail_stage", Text),
    Column("guardrail_rule", Text),
    Column("guardrail_actions", _document(), nullable=False, server_default="{}"),
    Column("chunk_hashes", _document(), nullable=False, server_default="[]"),
    Column("prompt_hash", Text),
    Column("capsule", Text),
    Column("channel", Text, nullable=False, server_default="chat"),
    Column("guardrail_rules", _document(), nullable=False, server_default="{}"),
    Index(None, "created_at", "response_id"),
    Index(None, "trace_id"),
    Index(None, "owner", "created_at"),
)

FEEDBACK: Final = Table(
    "feedback",
    METADATA,
    Column("feedback_id", Text, primary_key=True),
    Column("response_id", Text, ForeignKey("request_records.response_id"), nullable=False),
    Column("trace_id", Text, nullable=False),
    Column("feedback", Text, nullable=False),
    Column("timestamp", _moment(), nullable=False),
    Column("reason_code", Text),
    Column("comment", Text),
    Column("value", Float(53)),
    UniqueConstraint("response_id", "feedback"),
)

# One row a session: the lock under which its ledger changes, and the limit it was last held to.
BUDGETS: Final = Table(
    "budgets",
    METADATA,
    Column("session_id", Text, primary_key=True),
    Column("limit_tokens", BigInteger, nullable=False),
    Column("updated_at", _moment(), nullable=False),
)

# The ledger: a reservation counts `reserved_tokens` until `expires_at`, from its settlement on `used_tokens`.
# No foreign key to budgets: both are written without an fsync, and a settlement must never fail.
BUDGET_RESERVATIONS: Final = Table(
    "budget_reservations",
    METADATA,
    Column("reservation_id", Text, primary_key=True),
    Column("session_id", Text, nullable=False),
    Column("level", Text, nullable=False),
    Column("reserved_tokens", BigInteger, nullable=False),
    Column("used_tokens", BigInteger),
    Column("expires_at", _moment(), nullable=False),
    Index(None, "session_id"),
)

# Written before the first answer of a unit in a phase of an experiment; never changed.
EXPERIMENT_EXPOSURES: Final = Table(
    "experiment_exposures",
    METADATA,
    Column("experiment", Text, primary_key=True),
    Column("phase", Integer, primary_key=True, autoincrement=False),
    Column("unit_id", Text, primary_key=True),
    Column("arm", Text, nullable=False),
    Column("release_bundle", Text, nullable=False),
    Column("exposed_at", _moment(), nullable=False),
    Index(None, "unit_id"),
)

# Answers that people judge: what the guardrails saw, without personal data, and what was said of it.
GUARDRAIL_REVIEWS: Final = Table(
    "guardrail_reviews",
    METADATA,
    Column("response_id", Text, ForeignKey("request_records.response_id"), primary_key=True),
    Column("created_at", _moment(), nullable=False),
    Column("reason", Text, nullable=False),
    Column("intent", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("phase", Text, nullable=False),
    Column("stage", Text),
    Column("rule_id", Text),
    Column("action", Text, nullable=False),
    Column("ruleset_version", Text, nullable=False),
    Column("question", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("findings", _document(), nullable=False),
    Column("label", Text),
    Column("note", Text),
    Column("labelled_by", Text),
    Column("labelled_at", _moment()),
)

# What the worker still has to carry elsewhere; a row goes when that is done.
OUTBOX: Final = Table(
    "outbox",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("subject_id", Text, nullable=False),
    Column("payload", _document(), nullable=False),
    Column("created_at", _moment(), nullable=False),
    UniqueConstraint("kind", "subject_id"),
)

# What the columnar copy still lacks; a row goes when its subject is in a file.
COPY_OUTBOX: Final = Table(
    "copy_outbox",
    METADATA,
    Column("kind", Text, primary_key=True),
    Column("subject_id", Text, primary_key=True),
)

# Sealed contents by address: compressed, and encrypted where `key_id` is set.
CONTENTS: Final = Table(
    "contents",
    METADATA,
    Column("address", Text, primary_key=True),
    Column("key_id", Text),
    Column("body", LargeBinary, nullable=False),
    Column("kept_until", _moment(), nullable=False),
    Index(None, "kept_until"),
    Index(None, "key_id"),
)

# One key a customer, wrapped by the installation's own; without its row no copy of a content can be read.
CUSTOMER_KEYS: Final = Table(
    "customer_keys",
    METADATA,
    Column("key_id", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("wrapped_key", LargeBinary, nullable=False),
    Column("created_at", _moment(), nullable=False),
    UniqueConstraint("owner"),
)
