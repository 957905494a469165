"""Who was exposed to which arm of an experiment."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0003"
down_revision: Final = "0002"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "experiment_exposures",
        sa.Column("experiment", sa.Text(), nullable=False),
        sa.Column("phase", sa.Integer(), nullable=False),
        sa.Column("unit_id", sa.Text(), nullable=False),
        sa.Column("arm", sa.Text(), nullable=False),
        sa.Column("release_bundle", sa.Text(), nullable=False),
        sa.Column("exposed_at", sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("experiment", "phase", "unit_id", name="pk_experiment_exposures"),
    )
    op.create_index("ix_experiment_exposures_unit_id", "experiment_exposures", ["unit_id"])


def downgrade() -> None:
    """Drop it."""
    op.drop_table("experiment_exposures")
