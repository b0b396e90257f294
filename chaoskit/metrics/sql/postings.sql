-- One row per key in the surviving ledger: how many transactions it has, and the first one's content.
CREATE OR REPLACE TABLE posted_again AS
SELECT hash(key) AS h FROM transactions WHERE key IS NOT NULL GROUP BY h HAVING count(*) > 1;

CREATE OR REPLACE VIEW postings AS
SELECT key, 1 AS n, amount, currency, from_account, to_account, payload_hash
  FROM transactions
 WHERE key IS NOT NULL AND hash(key) NOT IN (FROM posted_again)
UNION ALL
SELECT key,
       count(*) AS n,
       min(amount) AS amount,
       min(currency) AS currency,
       min(from_account) AS from_account,
       min(to_account) AS to_account,
       min(payload_hash) AS payload_hash
  FROM transactions
 WHERE key IS NOT NULL AND hash(key) IN (FROM posted_again)
 GROUP BY key;
