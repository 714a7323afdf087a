"""Alembic's entry: runs the migrations in this folder on the connection that `app.platform.schema` gives it."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(
    connection=connection, target_metadata=context.config.attributes.get("metadata"), transaction_per_migration=True
)
with context.begin_transaction():
    connection.exec_driver_sql("SET LOCAL lock_timeout = '5s'")
    context.run_migrations()
