"""How Alembic runs our migrations: on the connection that the warehouse hands over, inside its transaction; or offline,
writing the SQL for a PostgreSQL that only a person can reach."""

from alembic import context

# A table name of our own: Dagster keeps its version in alembic_version, perhaps in the same database.
VERSION_TABLE = "sgf_schema_version"

if context.is_offline_mode():
    context.configure(
        dialect_name="postgresql",
        dialect_opts={"paramstyle": "named"},  # else every % of a function would come out doubled
        version_table=VERSION_TABLE,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()
else:
    # The warehouse holds the transaction, so that Alembic must not begin one.
    context.configure(
        connection=context.config.attributes["connection"], version_table=VERSION_TABLE, transactional_ddl=False
    )
    context.run_migrations()
