-- What to read. Each view gives the same rows whatever was delivered twice and in whatever order, merged or not.
-- Money is Decimal(38, 9) here. argMin(tuple(x), …).1 where x may be null: argMin by itself passes over nulls.

-- A touch per session and click id: the copy received first, and invalid if any copy says so, since a later check flags
-- a touch by sending it again. `arrival` puts received_at, occurred_at and the offset into one number: tuples compare
-- three times slower. `deliveries` counts the records.
CREATE VIEW IF NOT EXISTS v_clicks AS
SELECT
    session_id,
    click_id,
    argMin(occurred_at, arrival) AS occurred_at,
    argMin(received_at, arrival) AS received_at,
    argMin(type, arrival) AS type,
    argMin(partner_id, arrival) AS partner_id,
    argMin(offer_id, arrival) AS offer_id,
    argMin(invalid, arrival) AS invalid,
    argMin(tuple(country), arrival).1 AS country,
    argMin(tuple(source), arrival).1 AS source,
    argMin(tuple(sub1), arrival).1 AS sub1,
    argMin(tuple(sub2), arrival).1 AS sub2,
    argMin(tuple(sub3), arrival).1 AS sub3,
    argMin(tuple(sub4), arrival).1 AS sub4,
    argMin(tuple(sub5), arrival).1 AS sub5,
    argMin(tuple(device), arrival).1 AS device,
    argMin(tuple(os), arrival).1 AS os,
    argMin(tuple(browser), arrival).1 AS browser,
    argMin(tuple(promo_code), arrival).1 AS promo_code,
    argMin(tuple(referrer), arrival).1 AS referrer,
    argMin(tuple(user_agent), arrival).1 AS user_agent,
    argMin(tuple(ip), arrival).1 AS ip,
    argMin(params, arrival) AS params,
    argMin(door, arrival) AS door,
    uniqExact(kafka_partition, kafka_offset) AS deliveries
FROM
(
    SELECT
        c.*,
        bitOr(
            bitOr(
                bitShiftLeft(toUInt128(toUnixTimestamp64Milli(c.received_at)), 80),
                bitShiftLeft(toUInt128(toUnixTimestamp64Milli(c.occurred_at)), 32)),
            toUInt128(toUInt32(c.kafka_offset))) AS arrival
    FROM clicks AS c
)
GROUP BY session_id, click_id;

-- A row per conversion: the event received first, of two in one millisecond that with the smaller session id.
-- `deliveries` counts the records that named it. What it was credited with is in v_credits. Nearly every conversion came
-- once; only the others are weighed, see v_credits.
CREATE VIEW IF NOT EXISTS v_conversions AS
WITH several AS
    (
        SELECT conversion_id
        FROM conversions
        GROUP BY conversion_id
        HAVING count() > 1
    )
SELECT
    one.conversion_id AS conversion_id,
    one.session_id AS session_id,
    one.occurred_at AS occurred_at,
    one.received_at AS received_at,
    one.advertiser_id AS advertiser_id,
    one.goal AS goal,
    one.order_id AS order_id,
    one.program_id AS program_id,
    one.offer_id AS offer_id,
    one.click_id AS click_id,
    toDecimal128OrNull(one.amount, 9) AS amount,
    one.currency AS currency,
    one.promo_code AS promo_code,
    one.customer_id AS customer_id,
    one.country AS country,
    one.adv1 AS adv1,
    one.adv2 AS adv2,
    one.adv3 AS adv3,
    one.adv4 AS adv4,
    one.adv5 AS adv5,
    one.ip AS ip,
    one.user_agent AS user_agent,
    one.params AS params,
    one.door AS door,
    toUInt64(1) AS deliveries
FROM conversions AS one
ANTI LEFT JOIN several ON one.conversion_id = several.conversion_id
UNION ALL
SELECT
    conversion_id,
    argMin(session_id, arrival) AS session_id,
    argMin(occurred_at, arrival) AS occurred_at,
    argMin(received_at, arrival) AS received_at,
    argMin(advertiser_id, arrival) AS advertiser_id,
    argMin(goal, arrival) AS goal,
    argMin(tuple(order_id), arrival).1 AS order_id,
    argMin(tuple(program_id), arrival).1 AS program_id,
    argMin(tuple(offer_id), arrival).1 AS offer_id,
    argMin(tuple(click_id), arrival).1 AS click_id,
    toDecimal128OrNull(argMin(tuple(amount), arrival).1, 9) AS amount,
    argMin(tuple(currency), arrival).1 AS currency,
    argMin(tuple(promo_code), arrival).1 AS promo_code,
    argMin(tuple(customer_id), arrival).1 AS customer_id,
    argMin(tuple(country), arrival).1 AS country,
    argMin(tuple(adv1), arrival).1 AS adv1,
    argMin(tuple(adv2), arrival).1 AS adv2,
    argMin(tuple(adv3), arrival).1 AS adv3,
    argMin(tuple(adv4), arrival).1 AS adv4,
    argMin(tuple(adv5), arrival).1 AS adv5,
    argMin(tuple(ip), arrival).1 AS ip,
    argMin(tuple(user_agent), arrival).1 AS user_agent,
    argMin(params, arrival) AS params,
    argMin(door, arrival) AS door,
    uniqExact(kafka_partition, kafka_offset) AS deliveries
FROM
(
    SELECT c.*, tuple(c.received_at, toString(c.session_id), c.kafka_partition, c.kafka_offset) AS arrival
    FROM conversions AS c
    SEMI LEFT JOIN several ON c.conversion_id = several.conversion_id
)
GROUP BY conversion_id;

CREATE VIEW IF NOT EXISTS v_adjustments AS
SELECT * REPLACE (toDecimal128OrNull(amount, 9) AS amount)
FROM adjustments FINAL;

-- A row per conversion: the claim that stands (RULES R30, R51; `processors/core/claims.py` says the same). Of a claim's
-- records the greatest version. The claim received first (then: smaller session id, text of the content) fixes amount
-- and currency; among those of this content a credited one goes first, then the earliest, then the smaller session id.
-- `duplicates` counts further events of the same content over all claims, `conflicts` claims of other content.
-- Session ids are compared as text: ClickHouse orders UUIDs by their second half.
-- Nearly every conversion has one claim, which stands; only the others are weighed, since that costs twenty times as
-- much. The joins, unlike IN, let a condition on conversion_id reach the key of every part.
CREATE VIEW IF NOT EXISTS v_credits AS
WITH
    claims AS
    (
        SELECT *, claimed_amount
        FROM credits FINAL
        WHERE run_id = 'live'
    ),
    several AS
    (
        SELECT conversion_id
        FROM claims
        GROUP BY conversion_id
        HAVING count() > 1
    )
SELECT
    one.conversion_id AS conversion_id,
    one.session_id AS session_id,
    one.version AS version,
    one.status AS status,
    one.advertiser_id AS advertiser_id,
    one.program_id AS program_id,
    one.goal AS goal,
    one.order_id AS order_id,
    one.offer_id AS offer_id,
    one.occurred_at AS occurred_at,
    one.received_at AS received_at,
    toDecimal128OrNull(one.amount, 9) AS amount,
    one.currency AS currency,
    one.promo_code AS promo_code,
    one.country AS country,
    one.partner_id AS partner_id,
    one.contract_id AS contract_id,
    one.credit_group AS credit_group,
    one.method AS method,
    one.click_id AS click_id,
    one.touched_at AS touched_at,
    one.decided_by AS decided_by,
    toDecimal128OrNull(one.payout, 9) AS payout,
    toDecimal128OrNull(one.revenue, 9) AS revenue,
    one.reason AS reason,
    one.notes AS notes,
    toUInt64(one.duplicates) AS duplicates,
    toUInt64(0) AS conflicts,
    one.candidates AS candidates,
    one.omitted AS omitted,
    one.catalog_version AS catalog_version
FROM claims AS one
ANTI LEFT JOIN several ON one.conversion_id = several.conversion_id
UNION ALL
SELECT
    conversion_id,
    argMin(session_id, first) AS session_id,
    argMin(version, first) AS version,
    argMin(status, first) AS status,
    argMin(advertiser_id, first) AS advertiser_id,
    argMin(program_id, first) AS program_id,
    argMin(goal, first) AS goal,
    argMin(tuple(order_id), first).1 AS order_id,
    argMin(tuple(offer_id), first).1 AS offer_id,
    argMin(occurred_at, first) AS occurred_at,
    argMin(received_at, first) AS received_at,
    argMin(tuple(amount), first).1 AS amount,
    argMin(currency, first) AS currency,
    argMin(tuple(promo_code), first).1 AS promo_code,
    argMin(tuple(country), first).1 AS country,
    argMin(tuple(partner_id), first).1 AS partner_id,
    argMin(tuple(contract_id), first).1 AS contract_id,
    argMin(tuple(credit_group), first).1 AS credit_group,
    argMin(tuple(method), first).1 AS method,
    argMin(tuple(click_id), first).1 AS click_id,
    argMin(tuple(touched_at), first).1 AS touched_at,
    argMin(tuple(decided_by), first).1 AS decided_by,
    argMin(tuple(payout), first).1 AS payout,
    argMin(tuple(revenue), first).1 AS revenue,
    argMin(tuple(reason), first).1 AS reason,
    argMin(notes, first) AS notes,
    toUInt64(argMin(events, first) - 1) AS duplicates,
    toUInt64(count() - 1) AS conflicts,
    argMin(candidates, first) AS candidates,
    argMin(omitted, first) AS omitted,
    argMin(catalog_version, first) AS catalog_version
FROM
(
    SELECT
        conversion_id,
        min(tuple(claim.received_at, toString(claim.session_id), content)) AS first,
        argMin(session_id, standing) AS session_id,
        argMin(version, standing) AS version,
        argMin(status, standing) AS status,
        argMin(advertiser_id, standing) AS advertiser_id,
        argMin(program_id, standing) AS program_id,
        argMin(goal, standing) AS goal,
        argMin(tuple(order_id), standing).1 AS order_id,
        argMin(tuple(offer_id), standing).1 AS offer_id,
        argMin(occurred_at, standing) AS occurred_at,
        argMin(received_at, standing) AS received_at,
        toDecimal128OrNull(argMin(tuple(amount), standing).1, 9) AS amount,
        currency,
        argMin(tuple(promo_code), standing).1 AS promo_code,
        argMin(tuple(country), standing).1 AS country,
        argMin(tuple(partner_id), standing).1 AS partner_id,
        argMin(tuple(contract_id), standing).1 AS contract_id,
        argMin(tuple(credit_group), standing).1 AS credit_group,
        argMin(tuple(method), standing).1 AS method,
        argMin(tuple(click_id), standing).1 AS click_id,
        argMin(tuple(touched_at), standing).1 AS touched_at,
        argMin(tuple(decided_by), standing).1 AS decided_by,
        toDecimal128OrNull(argMin(tuple(payout), standing).1, 9) AS payout,
        toDecimal128OrNull(argMin(tuple(revenue), standing).1, 9) AS revenue,
        argMin(tuple(reason), standing).1 AS reason,
        argMin(notes, standing) AS notes,
        sum(toUInt64(duplicates) + 1) AS events,
        argMin(candidates, standing) AS candidates,
        argMin(omitted, standing) AS omitted,
        argMin(catalog_version, standing) AS catalog_version
    FROM
    (
        SELECT
            c.*,
            tuple(c.status != 'credited', c.received_at, toString(c.session_id)) AS standing,
            concat(ifNull(concat('Decimal(''', c.amount, ''')'), 'None'), ', ''', c.currency, '''') AS content
        FROM claims AS c
        SEMI LEFT JOIN several ON c.conversion_id = several.conversion_id
    ) AS claim
    GROUP BY conversion_id, claimed_amount, currency
)
GROUP BY conversion_id;

-- The explanations, a row per candidate, in the order of the explanation (`position` from 1).
CREATE VIEW IF NOT EXISTS v_candidates AS
SELECT
    conversion_id,
    advertiser_id,
    program_id,
    goal,
    order_id,
    occurred_at,
    status,
    partner_id AS credited_partner_id,
    decided_by,
    position,
    candidate.partner_id AS partner_id,
    candidate.contract_id AS contract_id,
    candidate.type AS type,
    candidate.occurred_at AS touched_at,
    candidate.credit_group AS credit_group,
    candidate.rank AS rank,
    candidate.reason AS reason,
    candidate.click_id AS click_id
FROM v_credits
ARRAY JOIN candidates AS candidate, arrayEnumerate(candidates) AS position;

-- What could not be used and is not withdrawn: the greatest version per id.
CREATE VIEW IF NOT EXISTS v_dead_letters AS
SELECT * EXCEPT (withdrawn)
FROM dead_letters FINAL
WHERE NOT withdrawn;

-- The versions of the catalog: of two with one number the log's first won.
CREATE VIEW IF NOT EXISTS v_catalog AS
SELECT
    version,
    argMin(effective_at, kafka_offset) AS effective_at,
    argMin(written_at, kafka_offset) AS written_at,
    argMin(author, kafka_offset) AS author,
    argMin(digest, kafka_offset) AS digest,
    argMin(document, kafka_offset) AS document
FROM catalog_versions
GROUP BY version;

-- Of a conversion's settlements the greatest version.
CREATE VIEW IF NOT EXISTS v_settlements AS
SELECT * REPLACE (
    toDecimal128OrNull(amount, 9) AS amount,
    toDecimal128OrNull(payout, 9) AS payout,
    toDecimal128OrNull(revenue, 9) AS revenue)
FROM settlements FINAL
WHERE run_id = 'live';
