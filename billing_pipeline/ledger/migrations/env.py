"""Alembic's entry: runs the versions on the connection that ``migrate.upgrade`` hands over."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
