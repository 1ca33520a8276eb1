"""Run the migrations over the connection that `domicile.store.schema` holds, inside its transaction.

Loaded by Alembic.
"""

from alembic import context

from domicile.store.indexes import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
