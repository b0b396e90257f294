-- One row per idempotency key that was ever sent: what the customer was told in the end.
-- Another payload under a used key is no sending of that payment (rules/another-payload judges it).
-- ok: some sending was acknowledged · unknown: none was, and one may have taken effect · fail: none can have.
CREATE OR REPLACE TABLE keys AS
SELECT key,
       min(journey) AS journey,
       CASE WHEN bool_or(outcome = 'ok') THEN 'ok'
            WHEN bool_or(outcome = 'unknown') THEN 'unknown'
            ELSE 'fail' END AS outcome,
       min(done) FILTER (WHERE outcome = 'ok') AS done,
       arg_min(sent, done) FILTER (WHERE outcome = 'ok') AS sent,
       count(*) AS sendings,
       count(*) FILTER (WHERE tap) AS taps,
       min(amount) AS amount,
       min(currency) AS currency,
       min(payload_hash) AS payload_hash,
       min(drawn) AS drawn
  FROM operations
 WHERE sent IS NOT NULL AND NOT coalesce(other, false)
 GROUP BY key;
