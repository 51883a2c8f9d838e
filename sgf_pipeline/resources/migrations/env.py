"""How Alembic runs our migrations: on the connection that the warehouse hands over, inside its transaction."""

from alembic import context

connection = context.config.attributes["connection"]
# A table name of our own: Dagster keeps its version in alembic_version, perhaps in the same database. The warehouse
# holds the transaction, so that Alembic must not begin one.
context.configure(connection=connection, version_table="sgf_schema_version", transactional_ddl=False)
context.run_migrations()
