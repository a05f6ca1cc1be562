"""What a tick could not do is kept until it is done, so that whoever looks later sees it."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the steps that failed last."""
    op.execute("""
        CREATE TABLE failed_step (
            step TEXT NOT NULL,
            period TEXT NOT NULL,
            error TEXT NOT NULL,
            hint TEXT NOT NULL,
            since TIMESTAMP WITH TIME ZONE NOT NULL,
            last_at TIMESTAMP WITH TIME ZONE NOT NULL,
            times BIGINT NOT NULL,
            CONSTRAINT failed_step_pkey PRIMARY KEY (step, period)
        )
    """)
    op.execute("COMMENT ON COLUMN failed_step.period IS 'its key; empty where the step belongs to none'")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON failed_step TO billing_app")
