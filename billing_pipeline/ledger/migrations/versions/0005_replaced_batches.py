"""A batch may stand in the place of another as a whole: a file with increments that was mended."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add which batch a batch replaces; one is replaced once."""
    op.execute(
        "ALTER TABLE batch ADD COLUMN replaces BIGINT UNIQUE REFERENCES batch (number) CHECK (replaces < number)"
    )
    op.execute("COMMENT ON COLUMN batch.replaces IS 'the batch in whose place it stands as a whole'")
