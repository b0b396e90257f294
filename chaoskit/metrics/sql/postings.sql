-- One row per key in the surviving ledger: how many transactions it has, and the first one's content.
CREATE OR REPLACE TABLE postings AS
SELECT key,
       count(*) AS n,
       min(amount) AS amount,
       min(currency) AS currency,
       min(from_account) AS from_account,
       min(to_account) AS to_account,
       min(payload_hash) AS payload_hash
  FROM transactions
 WHERE key IS NOT NULL
 GROUP BY key;
