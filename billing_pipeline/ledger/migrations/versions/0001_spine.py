"""The spine: catalog, usage manifest, metering, documents, payments, checks."""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Run the SQL file beside this one: readable by whoever runs the database."""
    op.get_bind().exec_driver_sql(Path(__file__).with_suffix(".sql").read_text())
