"""Alembic's entry: runs the versions on the connection that ``migrate.upgrade`` hands over."""

from alembic import context

from billing_pipeline.ledger.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
