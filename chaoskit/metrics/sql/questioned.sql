-- The rows of the suspects, whole.
CREATE OR REPLACE TABLE questioned_operations AS
SELECT * FROM odd_operations WHERE h IN (FROM suspect_hashes);
CREATE OR REPLACE TABLE questioned_keys AS FROM told('questioned_operations');
-- By key: what was posted under the keys in question, or under none.
CREATE OR REPLACE TABLE questioned_by_key AS
SELECT * FROM odd_postings
 WHERE coalesce(key, '') = '' OR h IN (SELECT h FROM suspect_hashes UNION ALL SELECT h FROM suspect_holds);
-- One row per key: how many transactions it has, and the first one's content.
CREATE OR REPLACE TABLE questioned_postings AS
SELECT key,
       count(*) AS n,
       min(amount) AS amount,
       min(currency) AS currency,
       min(from_account) AS from_account,
       min(to_account) AS to_account,
       min(payload_hash) AS payload_hash
  FROM questioned_by_key
 WHERE key IS NOT NULL
 GROUP BY key;
CREATE OR REPLACE TABLE questioned_holds AS SELECT * FROM holds WHERE hash(key) IN (FROM suspect_holds);
CREATE OR REPLACE TABLE questioned_entries AS
SELECT * FROM entries WHERE transaction_id IN (FROM suspect_transactions) OR transaction_id IS NULL;
CREATE OR REPLACE TABLE questioned_transactions AS
SELECT * FROM transactions WHERE transaction_id IN (FROM suspect_transactions) OR transaction_id IS NULL;
CREATE OR REPLACE TABLE asked AS
SELECT DISTINCT key FROM all_operations WHERE sent IS NOT NULL AND hash(key) IN (FROM suspect_hashes);
