-- What stands of each conversion, as settlement said it. v_credits says the same from the claims alone and has the
-- explanation; the two are compared by the audit.
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

CREATE VIEW IF NOT EXISTS v_settlements AS
SELECT * REPLACE (
    toDecimal128OrNull(amount, 9) AS amount,
    toDecimal128OrNull(payout, 9) AS payout,
    toDecimal128OrNull(revenue, 9) AS revenue)
FROM settlements FINAL
WHERE run_id = 'live';
