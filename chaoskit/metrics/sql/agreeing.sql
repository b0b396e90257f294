-- What agrees in bulk. Two bags of rows that must be the same are dealt into 4096 buckets, and each bucket's number of rows and
-- sum of their hashes are compared, which needs no room for the rows themselves and no table of millions of groups. If the
-- bags of a bucket differ, so do the sums, but for one chance in 2^64. (Hashed twice: a hash of several columns is joined by
-- XOR, and what rows have in common, such as a wrong currency, would cancel out. Summed and not joined by XOR: so would a
-- row that is there twice.) Only what is in an odd bucket is looked at one by one (suspects.sql).

-- Holds: a key whose posted holds and transactions do not go together.
CREATE OR REPLACE TABLE suspect_holds AS
SELECT s.h
  FROM (SELECT hash(key) AS h, count(*) FILTER (WHERE state = 'posted') AS posted
          FROM holds WHERE key IS NOT NULL GROUP BY h) AS s
  LEFT JOIN (SELECT DISTINCT hash(key) AS h FROM transactions
              WHERE key IS NOT NULL AND hash(key) IN (SELECT hash(key) FROM holds)) AS p ON s.h = p.h
 WHERE s.posted > 1 OR (s.posted = 1) <> (p.h IS NOT NULL);

-- Keys that are looked at one by one in any case: these; sent more than once, or for another payload, or not acknowledged; with a
-- transaction that is not a client's; and of journeys that do not say who pays and is paid, where others do.
CREATE OR REPLACE TABLE singled_out AS
SELECT h FROM suspect_holds
UNION ALL
SELECT h FROM sent_again
UNION ALL
SELECT hash(key) FROM operations WHERE other OR (sent IS NOT NULL AND outcome IS DISTINCT FROM 'ok')
UNION ALL
SELECT hash(key) FROM transactions WHERE key IS NOT NULL AND source <> 'client'
UNION ALL
SELECT hash(key) FROM operations ANTI JOIN parties USING (journey) WHERE (SELECT roles FROM compared);

-- The others: what customers were told against what was posted, in the columns that both sides have (compared.sql). Where no
-- journey says who pays and is paid, the two must be the first two drawn values, sorted.
CREATE OR REPLACE TABLE odd_keys AS
SELECT coalesce(k.bucket, p.bucket) AS bucket
  FROM (SELECT hash(key) % 4096 AS bucket, count(*) AS n,
               sum(hash(hash(key, CASE WHEN c.amounts THEN exactly(amount) END,
                             CASE WHEN c.amounts AND c.currencies THEN currency END,
                             CASE WHEN c.payloads THEN payload_hash END,
                             CASE WHEN c.roles
                                  THEN hash(json_extract_string(drawn, payer), json_extract_string(drawn, payee))
                                  WHEN c.parties
                                  THEN hash(list_sort(json_extract_string(drawn, '$.*'))[:2]) END))) AS rows
          FROM operations LEFT JOIN parties USING (journey) ANTI JOIN singled_out AS s ON hash(key) = s.h,
               compared AS c
         WHERE sent IS NOT NULL
         GROUP BY bucket) AS k
  FULL JOIN (SELECT hash(key) % 4096 AS bucket, count(*) AS n,
                    sum(hash(hash(key, CASE WHEN c.amounts THEN exactly(amount) END,
                                  CASE WHEN c.amounts AND c.currencies THEN currency END,
                                  CASE WHEN c.payloads THEN payload_hash END,
                                  CASE WHEN c.roles THEN hash(from_account, to_account)
                                       WHEN c.parties THEN hash(list_sort([from_account, to_account])) END))) AS rows
               FROM transactions ANTI JOIN singled_out AS s ON hash(key) = s.h, compared AS c
              WHERE key IS NOT NULL
              GROUP BY bucket) AS p ON k.bucket = p.bucket
 WHERE NOT coalesce(k.n = p.n AND k.rows = p.rows, false);

-- Transactions: the entries that there are against those that the transactions call for, one that gives and one that takes.
CREATE OR REPLACE TABLE odd_transactions AS
SELECT coalesce(e.bucket, t.bucket) AS bucket
  FROM (SELECT hash(transaction_id) % 4096 AS bucket, count(*) AS n,
               sum(hash(hash(transaction_id, account, exactly(amount), currency))) AS legs
          FROM entries WHERE transaction_id IS NOT NULL GROUP BY bucket) AS e
  FULL JOIN (SELECT hash(transaction_id) % 4096 AS bucket, 2 * count(*) AS n,
                    sum(hash(hash(transaction_id, from_account, exactly(-amount::HUGEINT), currency)))
                    + sum(hash(hash(transaction_id, to_account, exactly(amount), currency))) AS legs,
                    bool_and(coalesce(amount > 0, false) AND from_account IS NOT NULL AND to_account IS NOT NULL) AS plain
               FROM transactions WHERE transaction_id IS NOT NULL GROUP BY bucket) AS t ON e.bucket = t.bucket
 WHERE NOT coalesce(e.n = t.n AND e.legs = t.legs AND t.plain, false);
