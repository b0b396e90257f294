-- One row per key in the surviving ledger: how many transactions it has, and the first one's content.
CREATE OR REPLACE MACRO held(rows) AS TABLE
SELECT key,
       count(*) AS n,
       min(amount) AS amount,
       min(currency) AS currency,
       min(from_account) AS from_account,
       min(to_account) AS to_account,
       min(payload_hash) AS payload_hash
  FROM query_table(rows)
 WHERE key IS NOT NULL
 GROUP BY key;

CREATE OR REPLACE TABLE posted_again AS
SELECT hash(key) AS h FROM transactions WHERE key IS NOT NULL GROUP BY h HAVING count(*) > 1;
