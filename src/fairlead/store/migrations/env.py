"""Alembic's entry: runs the revisions on the connection, and in the transaction, that it is handed."""

from alembic import context

from fairlead.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite cannot alter most things in place
)
context.run_migrations()
