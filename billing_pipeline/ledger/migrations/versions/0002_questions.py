"""What a check was asked, so that the same need not be computed again."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the question to the results of checks."""
    op.execute("ALTER TABLE check_result ADD COLUMN question TEXT")
    op.execute("CREATE INDEX check_result_question_idx ON check_result (question)")
    op.execute("""
        COMMENT ON COLUMN check_result.question IS
            'fingerprint of all that the outcome hangs on; null where none was found'
    """)
