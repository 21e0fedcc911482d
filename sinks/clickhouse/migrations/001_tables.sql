-- What the topics hold, a table each. Columns are called as the fields of the Avro schemas; `kafka_partition` and
-- `kafka_offset` say where the record stands in its topic, so that a record inserted twice is one row after the merge,
-- and a missing one can be named. Read through the views (002): they are right before any merge.
--
-- Text columns of clicks are plain strings: filling LowCardinality columns row by row from Avro takes three times as
-- long (measured), and ZSTD stores repetitions as small. Money stays the log's own decimal text here; the views make it
-- Decimal. Rows are never dropped by time: times are the senders' and may lie years back.
--
-- `non_replicated_deduplication_window = 0`: a block that was inserted, deleted by hand and read from the log again must
-- come back; repetitions are the engine's and the views' business.

CREATE TABLE IF NOT EXISTS clicks
(
    session_id UUID,
    occurred_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    click_id String CODEC(ZSTD),
    received_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    type String CODEC(ZSTD),
    partner_id String CODEC(ZSTD),
    offer_id String CODEC(ZSTD),
    invalid Nullable(String) CODEC(ZSTD),
    country Nullable(String) CODEC(ZSTD),
    source Nullable(String) CODEC(ZSTD),
    sub1 Nullable(String) CODEC(ZSTD),
    sub2 Nullable(String) CODEC(ZSTD),
    sub3 Nullable(String) CODEC(ZSTD),
    sub4 Nullable(String) CODEC(ZSTD),
    sub5 Nullable(String) CODEC(ZSTD),
    device Nullable(String) CODEC(ZSTD),
    os Nullable(String) CODEC(ZSTD),
    browser Nullable(String) CODEC(ZSTD),
    promo_code Nullable(String) CODEC(ZSTD),
    referrer Nullable(String) CODEC(ZSTD),
    user_agent Nullable(String) CODEC(ZSTD),
    ip Nullable(String) CODEC(ZSTD),
    params Map(String, String) CODEC(ZSTD),
    door String CODEC(ZSTD),
    kafka_partition UInt32 CODEC(ZSTD),
    kafka_offset UInt64 CODEC(Delta, ZSTD)
)
ENGINE = ReplacingMergeTree
-- By the receiver's clock: the senders' occurred_at may be anything from 1970 on and would make a part a month of it.
PARTITION BY toYYYYMM(received_at)
ORDER BY (session_id, occurred_at, click_id, received_at, kafka_partition, kafka_offset)
SETTINGS non_replicated_deduplication_window = 0;

CREATE TABLE IF NOT EXISTS conversions
(
    conversion_id String CODEC(ZSTD),
    session_id UUID,
    occurred_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    received_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    advertiser_id LowCardinality(String),
    goal LowCardinality(String),
    order_id Nullable(String) CODEC(ZSTD),
    program_id LowCardinality(Nullable(String)),
    offer_id LowCardinality(Nullable(String)),
    click_id Nullable(String) CODEC(ZSTD),
    amount Nullable(String) CODEC(ZSTD),
    currency LowCardinality(Nullable(String)),
    promo_code LowCardinality(Nullable(String)),
    customer_id Nullable(String) CODEC(ZSTD),
    country LowCardinality(Nullable(String)),
    adv1 Nullable(String) CODEC(ZSTD),
    adv2 Nullable(String) CODEC(ZSTD),
    adv3 Nullable(String) CODEC(ZSTD),
    adv4 Nullable(String) CODEC(ZSTD),
    adv5 Nullable(String) CODEC(ZSTD),
    ip Nullable(String) CODEC(ZSTD),
    user_agent Nullable(String) CODEC(ZSTD),
    params Map(String, String) CODEC(ZSTD),
    door LowCardinality(String),
    kafka_partition UInt32,
    kafka_offset UInt64,
    INDEX by_session session_id TYPE bloom_filter GRANULARITY 1
)
ENGINE = ReplacingMergeTree
ORDER BY (conversion_id, received_at, session_id, kafka_partition, kafka_offset)
SETTINGS non_replicated_deduplication_window = 0;

CREATE TABLE IF NOT EXISTS adjustments
(
    conversion_id String CODEC(ZSTD),
    occurred_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    received_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    advertiser_id LowCardinality(String),
    goal LowCardinality(String),
    order_id Nullable(String) CODEC(ZSTD),
    click_id Nullable(String) CODEC(ZSTD),
    action LowCardinality(String),
    amount Nullable(String) CODEC(ZSTD),
    currency LowCardinality(Nullable(String)),
    note Nullable(String) CODEC(ZSTD),
    params Map(String, String) CODEC(ZSTD),
    door LowCardinality(String),
    kafka_partition UInt32,
    kafka_offset UInt64
)
ENGINE = ReplacingMergeTree
ORDER BY (conversion_id, received_at, kafka_partition, kafka_offset)
SETTINGS non_replicated_deduplication_window = 0;

-- A row per claim and run: of several with one key the greatest version holds (DESIGN 1.3). 10.0 and 10.00 are one
-- claim; -1 stands for a conversion without an amount, since a key holds no null and no amount is negative.
CREATE TABLE IF NOT EXISTS credits
(
    conversion_id String CODEC(ZSTD),
    session_id UUID,
    claimed_amount Decimal(38, 9) MATERIALIZED ifNull(toDecimal128(amount, 9), toDecimal128(-1, 9)),
    currency LowCardinality(String),
    run_id LowCardinality(String),
    version UInt64,
    status LowCardinality(String),
    advertiser_id LowCardinality(String),
    program_id LowCardinality(String),
    goal LowCardinality(String),
    order_id Nullable(String) CODEC(ZSTD),
    offer_id LowCardinality(Nullable(String)),
    occurred_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    received_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    amount Nullable(String) CODEC(ZSTD),
    promo_code LowCardinality(Nullable(String)),
    country LowCardinality(Nullable(String)),
    partner_id LowCardinality(Nullable(String)),
    contract_id LowCardinality(Nullable(String)),
    credit_group LowCardinality(Nullable(String)),
    method LowCardinality(Nullable(String)),
    click_id Nullable(String) CODEC(ZSTD),
    touched_at Nullable(DateTime64(3, 'UTC')) CODEC(ZSTD),
    decided_by LowCardinality(Nullable(String)),
    payout Nullable(String) CODEC(ZSTD),
    revenue Nullable(String) CODEC(ZSTD),
    reason LowCardinality(Nullable(String)),
    notes Array(String) CODEC(ZSTD),
    duplicates UInt32,
    candidates Array(Tuple(
        partner_id String,
        contract_id Nullable(String),
        type String,
        occurred_at Nullable(DateTime64(3, 'UTC')),
        credit_group Nullable(String),
        rank Nullable(Int32),
        reason Nullable(String),
        click_id Nullable(String))) CODEC(ZSTD),
    omitted Map(String, Int32) CODEC(ZSTD),
    catalog_version UInt64,
    kafka_partition UInt32,
    kafka_offset UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (conversion_id, session_id, claimed_amount, currency, run_id)
SETTINGS non_replicated_deduplication_window = 0;

-- What stands of each conversion, as settlement said it; v_credits says the same from the claims alone.
CREATE TABLE IF NOT EXISTS settlements
(
    conversion_id String CODEC(ZSTD),
    run_id LowCardinality(String),
    version UInt64,
    session_id UUID,
    claim_version UInt64,
    status LowCardinality(String),
    advertiser_id LowCardinality(String),
    program_id LowCardinality(String),
    goal LowCardinality(String),
    order_id Nullable(String) CODEC(ZSTD),
    occurred_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    received_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    amount Nullable(String) CODEC(ZSTD),
    currency LowCardinality(String),
    partner_id LowCardinality(Nullable(String)),
    contract_id LowCardinality(Nullable(String)),
    payout Nullable(String) CODEC(ZSTD),
    revenue Nullable(String) CODEC(ZSTD),
    duplicates UInt32,
    claims UInt32,
    conflicts UInt32,
    catalog_version UInt64,
    kafka_partition UInt32,
    kafka_offset UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (conversion_id, run_id)
SETTINGS non_replicated_deduplication_window = 0;

CREATE TABLE IF NOT EXISTS dead_letters
(
    dead_letter_id String CODEC(ZSTD),
    version UInt64,
    withdrawn Bool,
    reason LowCardinality(String),
    detail String CODEC(ZSTD),
    field LowCardinality(Nullable(String)),
    stage LowCardinality(String),
    door LowCardinality(Nullable(String)),
    received_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    topic LowCardinality(Nullable(String)),
    partition Nullable(Int32),
    offset Nullable(Int64),
    record_at Nullable(DateTime64(3, 'UTC')) CODEC(ZSTD),
    key Nullable(String) CODEC(ZSTD),
    original String CODEC(ZSTD),
    kafka_partition UInt32,
    kafka_offset UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY dead_letter_id
SETTINGS non_replicated_deduplication_window = 0;

CREATE TABLE IF NOT EXISTS catalog_versions
(
    version UInt64,
    effective_at DateTime64(3, 'UTC'),
    written_at DateTime64(3, 'UTC'),
    author String,
    digest String,
    document String CODEC(ZSTD),
    kafka_partition UInt32,
    kafka_offset UInt64
)
ENGINE = ReplacingMergeTree
ORDER BY (version, kafka_partition, kafka_offset)
SETTINGS non_replicated_deduplication_window = 0;
