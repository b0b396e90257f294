-- The rows of the suspects, whole.
DELETE FROM suspect_hashes WHERE NOT odd AND NOT (another_payload AND (SELECT comparable FROM payload_hashes));

CREATE OR REPLACE TABLE questioned_operations AS
SELECT * FROM operations WHERE hash(key) IN (SELECT h FROM suspect_hashes);
CREATE OR REPLACE TABLE questioned_keys AS FROM told('questioned_operations');
-- By key: what was posted under the keys in question, or under none.
CREATE OR REPLACE TABLE questioned_by_key AS
SELECT * FROM transactions
 WHERE hash(key) IN (SELECT h FROM suspect_hashes UNION ALL SELECT h FROM suspect_holds) OR coalesce(key, '') = '';
CREATE OR REPLACE TABLE questioned_postings AS FROM held('questioned_by_key');
CREATE OR REPLACE TABLE questioned_holds AS SELECT * FROM holds WHERE hash(key) IN (FROM suspect_holds);
CREATE OR REPLACE TABLE questioned_entries AS
SELECT * FROM entries WHERE transaction_id IN (FROM suspect_transactions) OR transaction_id IS NULL;
CREATE OR REPLACE TABLE questioned_transactions AS
SELECT * FROM transactions WHERE transaction_id IN (FROM suspect_transactions) OR transaction_id IS NULL;
CREATE OR REPLACE TABLE asked AS
SELECT DISTINCT key FROM all_operations WHERE sent IS NOT NULL AND hash(key) IN (SELECT h FROM suspect_hashes);
