"""The tables ``transactions`` and ``synthetic_batches``, and in PostgreSQL what Supabase's REST door needs.

A REST request is a transaction of its own, so that a shard that comes in many requests waits in a staging table until
one call of a function moves it. The roles anon, authenticated and service_role are Supabase's; elsewhere there are
none, and the staging table and the functions are the owner's alone.

The columns are written out, not derived from the schema module: a migration must stay what it was. A test holds the
migrated table to the schema.
"""

from alembic import op

revision = "0001"
down_revision = None

# Those of a row; before them stand the columns that name its shard.
COLUMNS = """\
transaction_id TEXT NOT NULL,
event_time {moment} NOT NULL,
customer_id TEXT NOT NULL,
account_id TEXT NOT NULL,
card_id TEXT,
transaction_type TEXT NOT NULL,
direction TEXT NOT NULL,
amount {money} NOT NULL,
currency TEXT NOT NULL,
channel TEXT NOT NULL,
entry_mode TEXT,
authentication TEXT,
response_code TEXT NOT NULL,
merchant_id TEXT,
merchant_name TEXT,
merchant_category_code TEXT,
merchant_country TEXT,
merchant_city TEXT,
counterparty_account_id TEXT,
counterparty_country TEXT,
linked_transaction_id TEXT,
dispute_reason TEXT,
device_id TEXT,
ip_address TEXT,
ip_country TEXT,
latitude {real},
longitude {real},
account_age_days INTEGER NOT NULL,
prior_disputes INTEGER NOT NULL,
is_fraud {flag} NOT NULL,
fraud_scenarios {words},
vector TEXT,
authorised_by_victim {flag},
explanation TEXT,
evidence TEXT,
case_id TEXT,
case_step SMALLINT,
incident_id TEXT,
hard_negative TEXT,
label_available_at {moment}"""

NAMES = [line.split()[0] for line in COLUMNS.splitlines()]
TYPED = COLUMNS.replace(" NOT NULL", "").replace("\n", " ")

TRANSACTIONS = f"""
CREATE TABLE transactions (
    tenant TEXT NOT NULL,
    batch_id TEXT NOT NULL,
    shard TEXT NOT NULL,
    {COLUMNS},
    PRIMARY KEY (tenant, batch_id, transaction_id)
)
"""

# One shard (loading, reading back), one customer's and one account's history, a merchant's, the frauds by time.
INDEXES = (
    "CREATE INDEX transactions_by_shard ON transactions (tenant, batch_id, shard)",
    "CREATE INDEX transactions_by_customer ON transactions (customer_id, event_time)",
    "CREATE INDEX transactions_by_account ON transactions (account_id, event_time)",
    "CREATE INDEX transactions_by_merchant ON transactions (merchant_id, event_time)",
    "CREATE INDEX transactions_fraud ON transactions (tenant, batch_id, event_time) WHERE is_fraud",
)

SYNTHETIC_BATCHES = """
CREATE TABLE synthetic_batches (
    position BIGINT PRIMARY KEY,
    tenant TEXT NOT NULL,
    batch_id TEXT NOT NULL,
    manifest_number BIGINT NOT NULL,
    content_sha TEXT NOT NULL,
    receipts_sha TEXT NOT NULL,
    request TEXT NOT NULL,
    shards TEXT NOT NULL,
    row_count BIGINT NOT NULL,
    fraudulent BIGINT NOT NULL,
    legit BIGINT NOT NULL,
    model TEXT NOT NULL,
    cost_usd TEXT NOT NULL,
    s3_uri TEXT,
    requested_by TEXT NOT NULL,
    created_at TEXT NOT NULL,
    sgf_version TEXT NOT NULL,
    previous_sha TEXT NOT NULL UNIQUE,
    row_sha TEXT NOT NULL UNIQUE
)
"""

POSTGRES_APPEND_ONLY = (
    """
    CREATE FUNCTION synthetic_batches_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'synthetic_batches is append-only: % is refused', TG_OP
            USING ERRCODE = 'insufficient_privilege';
    END $$
    """,
    "CREATE TRIGGER synthetic_batches_append_only BEFORE UPDATE OR DELETE ON synthetic_batches"
    " FOR EACH ROW EXECUTE FUNCTION synthetic_batches_refuse()",
    "CREATE TRIGGER synthetic_batches_no_truncate BEFORE TRUNCATE ON synthetic_batches"
    " FOR EACH STATEMENT EXECUTE FUNCTION synthetic_batches_refuse()",
    # ALWAYS: a session that plays a replica (session_replication_role) skips ordinary triggers.
    "ALTER TABLE synthetic_batches ENABLE ALWAYS TRIGGER synthetic_batches_append_only",
    "ALTER TABLE synthetic_batches ENABLE ALWAYS TRIGGER synthetic_batches_no_truncate",
)

# One row holds a chunk of a shard's rows, as a JSON array of objects; chunk -1 says how many rows a load that is done
# has moved. Unlogged: what a crash empties is sent again.
STAGING = """
CREATE UNLOGGED TABLE transactions_staging (
    load_id TEXT NOT NULL,
    chunk BIGINT NOT NULL,
    tenant TEXT NOT NULL,
    batch_id TEXT NOT NULL,
    shard TEXT NOT NULL,
    rows JSON NOT NULL,
    PRIMARY KEY (load_id, chunk)
)
"""

# Returns the number of rows; or NULL, and does nothing, where chunks of the load are missing. The columns are named, so
# that a table changed by hand is refused, not filled with nulls. Supabase's API roles are cut off after 8 s, and no
# request lives longer than 60 s: PostgREST takes the time-out from the function.
LOAD_SHARD = f"""
CREATE FUNCTION sgf_load_shard(of_load TEXT, of_tenant TEXT, of_batch TEXT, of_shard TEXT, chunks BIGINT)
RETURNS BIGINT LANGUAGE plpgsql SECURITY INVOKER
SET search_path = public, pg_temp SET statement_timeout = '55s' AS $$
DECLARE
    loaded BIGINT;
BEGIN
    -- Loads of one shard follow one another: the later one must see the rows of the earlier one to replace them.
    PERFORM pg_advisory_xact_lock(hashtextextended(concat_ws('/', of_tenant, of_batch, of_shard), 0));
    -- The same load called again, because the first answer was lost.
    SELECT rows::text::bigint INTO loaded FROM transactions_staging WHERE load_id = of_load AND chunk = -1;
    IF FOUND THEN
        RETURN loaded;
    END IF;
    IF (SELECT COUNT(*) FROM transactions_staging WHERE load_id = of_load) <> chunks THEN
        RETURN NULL;
    END IF;
    DELETE FROM transactions WHERE tenant = of_tenant AND batch_id = of_batch AND shard = of_shard;
    INSERT INTO transactions (tenant, batch_id, shard, {", ".join(NAMES)})
        SELECT of_tenant, of_batch, of_shard, {", ".join(f"one.{name}" for name in NAMES)}
        FROM transactions_staging AS staged
        CROSS JOIN LATERAL json_to_recordset(staged.rows) AS one({TYPED})
        WHERE staged.load_id = of_load;
    GET DIAGNOSTICS loaded = ROW_COUNT;
    -- This load's chunks, and those that killed loads of the shard left.
    DELETE FROM transactions_staging WHERE tenant = of_tenant AND batch_id = of_batch AND shard = of_shard;
    INSERT INTO transactions_staging (load_id, chunk, tenant, batch_id, shard, rows)
        VALUES (of_load, -1, of_tenant, of_batch, of_shard, to_json(loaded));
    RETURN loaded;
END $$
"""  # noqa: S608  names of our own

# Texts, because JSON numbers lose digits in some clients.
HELD_OF_SHARD = """
CREATE FUNCTION sgf_held_of_shard(of_tenant TEXT, of_batch TEXT, of_shard TEXT, factor BIGINT)
RETURNS JSON LANGUAGE plpgsql STABLE SECURITY INVOKER
SET search_path = public, pg_temp SET statement_timeout = '55s' AS $$
BEGIN
    RETURN (
        SELECT json_build_object(
            'rows', COUNT(*)::text,
            'minor_units', COALESCE(SUM(ROUND(amount * factor)), 0)::text,
            'transaction_ids_xor',
            COALESCE(BIT_XOR(('x' || SUBSTR(transaction_id, 5))::bit(96)), B'0'::bit(96))::text
        )
        FROM transactions WHERE tenant = of_tenant AND batch_id = of_batch AND shard = of_shard
    );
END $$
"""

TABLES = "transactions, transactions_staging, synthetic_batches, sgf_schema_version"
FUNCTIONS = (
    "sgf_load_shard(TEXT, TEXT, TEXT, TEXT, BIGINT), sgf_held_of_shard(TEXT, TEXT, TEXT, BIGINT),"
    " synthetic_batches_refuse()"
)

POSTGRES_RIGHTS = (
    # No policy: only the owner and roles that bypass row-level security see rows, whatever others were granted.
    *(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY" for table in TABLES.split(", ")),
    f"REVOKE ALL ON {TABLES} FROM PUBLIC",
    f"REVOKE ALL ON FUNCTION {FUNCTIONS} FROM PUBLIC",
    # Supabase grants its API roles all rights on every new table and function; service_role gets back what it needs.
    f"""
    DO $$
    DECLARE
        api_role TEXT;
    BEGIN
        FOR api_role IN SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role') LOOP
            EXECUTE format('REVOKE ALL ON {TABLES} FROM %I', api_role);
            EXECUTE format('REVOKE ALL ON FUNCTION {FUNCTIONS} FROM %I', api_role);
        END LOOP;
        IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'service_role') THEN
            GRANT SELECT, INSERT, DELETE ON transactions, transactions_staging TO service_role;
            GRANT SELECT, INSERT ON synthetic_batches TO service_role;
            GRANT SELECT ON sgf_schema_version TO service_role;
            GRANT EXECUTE ON FUNCTION sgf_load_shard, sgf_held_of_shard TO service_role;
        END IF;
    END $$
    """,  # noqa: S608  names of our own
)

SQLITE_APPEND_ONLY = (
    *(
        f"CREATE TRIGGER synthetic_batches_no_{what.lower()} BEFORE {what} ON synthetic_batches"
        f" BEGIN SELECT RAISE(ABORT, 'synthetic_batches is append-only: {what} is refused'); END"
        for what in ("UPDATE", "DELETE")
    ),
    # REPLACE deletes the old row without asking the DELETE trigger.
    "CREATE TRIGGER synthetic_batches_no_replace BEFORE INSERT ON synthetic_batches"
    " WHEN EXISTS (SELECT 1 FROM synthetic_batches WHERE position = NEW.position OR row_sha = NEW.row_sha"
    " OR previous_sha = NEW.previous_sha)"
    " BEGIN SELECT RAISE(ABORT, 'synthetic_batches is append-only: REPLACE is refused'); END",
)  # fmt: skip


POSTGRES_TYPES = {
    "moment": "TIMESTAMPTZ",
    "money": "NUMERIC",
    "real": "DOUBLE PRECISION",
    "flag": "BOOLEAN",
    "words": "TEXT[]",
}
SQLITE_TYPES = {"moment": "TEXT", "money": "REAL", "real": "REAL", "flag": "INTEGER", "words": "TEXT"}


def upgrade() -> None:
    postgres = op.get_context().dialect.name == "postgresql"
    types = POSTGRES_TYPES if postgres else SQLITE_TYPES
    only_here = (
        (*POSTGRES_APPEND_ONLY, STAGING, LOAD_SHARD.format(**types), HELD_OF_SHARD, *POSTGRES_RIGHTS)
        if postgres
        else SQLITE_APPEND_ONLY
    )
    for statement in (TRANSACTIONS.format(**types), *INDEXES, SYNTHETIC_BATCHES, *only_here):
        op.execute(statement)
