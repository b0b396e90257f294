-- An amount, to be hashed with other columns. DuckDB hashes the two halves of a HUGEINT and joins them by XOR: -1 has the
-- hash of 0, and a giving entry of one minor unit would be the same as one of nothing.
CREATE OR REPLACE MACRO exactly(amount) AS hash(amount::HUGEINT, amount::HUGEINT::FLOAT);

-- One row per idempotency key that was ever sent: what the customer was told in the end.
-- Another payload under a used key is no sending of that payment (rules/another-payload judges it).
-- ok: some sending was acknowledged · accepted: none was, and one was promised · unknown: neither, and one may have
-- taken effect · fail: none can have.
CREATE OR REPLACE MACRO told(sendings) AS TABLE
SELECT key,
       min(journey) AS journey,
       CASE WHEN bool_or(outcome = 'ok') THEN 'ok'
            WHEN bool_or(outcome = 'accepted') THEN 'accepted'
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
  FROM query_table(sendings)
 WHERE sent IS NOT NULL AND NOT coalesce(other, false)
 GROUP BY key;

-- Most keys are sent once, and their row is the operation itself. Only those that were sent again are brought
-- together; a key that shares its hash with another one takes that way too, and comes out right.
CREATE OR REPLACE TABLE sent_again AS
SELECT hash(key) AS h FROM operations WHERE sent IS NOT NULL AND NOT coalesce(other, false)
 GROUP BY h HAVING count(*) > 1;

CREATE OR REPLACE VIEW resent AS SELECT * FROM operations WHERE hash(key) IN (FROM sent_again);

CREATE OR REPLACE VIEW keys AS
SELECT key, journey,
       CASE WHEN outcome IN ('ok', 'accepted', 'unknown') THEN outcome ELSE 'fail' END AS outcome,
       CASE WHEN outcome = 'ok' THEN done END AS done,
       CASE WHEN outcome = 'ok' THEN sent END AS sent,
       1 AS sendings,
       coalesce(tap, false)::BIGINT AS taps,
       amount, currency, payload_hash, drawn
  FROM operations
 WHERE sent IS NOT NULL AND NOT coalesce(other, false) AND hash(key) NOT IN (FROM sent_again)
UNION ALL
FROM told('resent');
