-- Conversions that a person should look at. The edge flags what a conversion itself tells (`accredit_review` in its
-- params: too_fast, before_click, impossible_country); what takes its click is found here: `other_country`, the click
-- came from another country than the conversion names. It changes no credit.
CREATE VIEW IF NOT EXISTS v_review AS
SELECT
    c.conversion_id AS conversion_id,
    c.session_id AS session_id,
    c.occurred_at AS occurred_at,
    c.received_at AS received_at,
    c.advertiser_id AS advertiser_id,
    c.goal AS goal,
    c.order_id AS order_id,
    c.amount AS amount,
    c.currency AS currency,
    c.click_id AS click_id,
    c.country AS country,
    k.click_country AS click_country,
    k.clicked_at AS clicked_at,
    arrayConcat(
        c.flags,
        if(c.country != '' AND k.click_country != '' AND c.country != k.click_country, ['other_country'], [])
    ) AS flags
FROM
(
    SELECT
        conversion_id,
        any(session_id) AS session_id,
        min(conversions.occurred_at) AS occurred_at,
        min(conversions.received_at) AS received_at,
        any(advertiser_id) AS advertiser_id,
        any(goal) AS goal,
        any(order_id) AS order_id,
        any(amount) AS amount,
        any(currency) AS currency,
        ifNull(any(conversions.click_id), '') AS click_id,
        ifNull(any(toString(conversions.country)), '') AS country,
        arraySort(groupUniqArrayArray(
            arrayFilter(flag -> flag != '', splitByChar(',', params['accredit_review'])))) AS flags
    FROM conversions
    GROUP BY conversion_id
) AS c
LEFT JOIN
(
    SELECT
        click_id,
        ifNull(any(clicks.country), '') AS click_country,
        min(clicks.occurred_at) AS clicked_at
    FROM clicks
    WHERE click_id IN (SELECT ifNull(conversions.click_id, '') FROM conversions)
    GROUP BY click_id
) AS k ON c.click_id = k.click_id
WHERE notEmpty(flags);
