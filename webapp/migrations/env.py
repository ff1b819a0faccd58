"""Alembic runs this for each command; `webapp.migrate` gives the connection."""

from __future__ import annotations

from alembic import context

from webapp.models import Base

# batch: SQLite changes a table by making it anew
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
