"""Runs the migrations on the connection that ``database.migrate`` hands in."""

from alembic import context

from circuit_sync.database.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
