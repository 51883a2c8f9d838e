"""The tables ``transactions`` and ``synthetic_batches``.

The columns are written out, not derived from the schema module: a migration must stay what it was. A test holds the
migrated table to the schema.
"""

from alembic import op

revision = "0001"
down_revision = None

TRANSACTIONS = """
CREATE TABLE transactions (
    tenant TEXT NOT NULL,
    batch_id TEXT NOT NULL,
    shard TEXT NOT NULL,
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
    label_available_at {moment},
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
    # No policy: only the owner sees rows, whatever a role such as Supabase's anon was granted.
    "ALTER TABLE transactions ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE synthetic_batches ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE sgf_schema_version ENABLE ROW LEVEL SECURITY",
    "REVOKE ALL ON transactions, synthetic_batches, sgf_schema_version FROM PUBLIC",
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


def upgrade() -> None:
    postgres = op.get_bind().dialect.name == "postgresql"
    types = (
        {"moment": "TIMESTAMPTZ", "money": "NUMERIC", "real": "DOUBLE PRECISION", "flag": "BOOLEAN", "words": "TEXT[]"}
        if postgres
        else {"moment": "TEXT", "money": "REAL", "real": "REAL", "flag": "INTEGER", "words": "TEXT"}
    )
    append_only = POSTGRES_APPEND_ONLY if postgres else SQLITE_APPEND_ONLY
    for statement in (TRANSACTIONS.format(**types), *INDEXES, SYNTHETIC_BATCHES, *append_only):
        op.execute(statement)
