-- What the rules have to look at. Nearly every row of sound books agrees with its counterpart, and one pass over each
-- table tells so; the rules then judge the few rows that are left, column by column. A row is left out only if no rule
-- could object to it. Rows are brought together by 64-bit hashes, so that millions fit into memory: two that share one
-- by chance are both left in, or, once in 2^64 comparisons, a wrong entry is left out.

-- Keys: acknowledged and not posted, posted and not acknowledged, posted twice, unlike what was sent, nobody's, or
-- used again for another payload.
CREATE OR REPLACE TABLE suspect_hashes AS
SELECT h, bool_or(odd) AS odd, bool_or(another_payload) AS another_payload, bool_or(same_payload) AS same_payload
  FROM (SELECT coalesce(k.h, p.h) AS h,
               coalesce((k.h IS NULL AND p.client)
                        OR (p.h IS NULL AND k.outcome <> 'fail')
                        OR (p.h IS NOT NULL AND k.outcome <> 'ok')
                        OR k.amount <> p.amount
                        OR (k.amount IS NOT NULL AND p.amount IS NOT NULL AND k.currency IS DISTINCT FROM p.currency)
                        -- As a JSON value ':"X"' cannot be anything else, nor can '"payer":"X"'; an X that JSON writes
                        -- otherwise stays in.
                        OR NOT (contains(k.drawn, k.payer_is || p.from_account || '"')
                                AND contains(k.drawn, k.payee_is || p.to_account || '"')), false) AS odd,
               coalesce(k.payload <> p.payload, false) AS another_payload,
               -- One in a thousand of those that agree stays in as well: it shows that the two can be compared.
               coalesce(k.payload = p.payload AND k.h % 1024 = 0, false) AS same_payload
          FROM (SELECT hash(key) AS h, outcome, amount, currency, drawn,
                       CASE WHEN payload_hash IS NOT NULL THEN hash(payload_hash) END AS payload,
                       coalesce(payer_is, ':"') AS payer_is, coalesce(payee_is, ':"') AS payee_is
                  FROM operations LEFT JOIN parties USING (journey)
                 WHERE sent IS NOT NULL AND NOT coalesce(other, false)) AS k
          FULL JOIN (SELECT hash(key) AS h, coalesce(source = 'client', false) AS client, amount, currency,
                            from_account, to_account,
                            CASE WHEN payload_hash IS NOT NULL THEN hash(payload_hash) END AS payload
                       FROM transactions WHERE key IS NOT NULL) AS p ON k.h = p.h
         WHERE odd OR another_payload OR same_payload
        UNION ALL
        SELECT h, true, false, false FROM posted_again
        UNION ALL
        SELECT hash(key), true, false, false FROM operations WHERE other)
 GROUP BY h;

CREATE OR REPLACE TABLE payload_hashes AS SELECT EXISTS (FROM suspect_hashes WHERE same_payload) AS comparable;

-- Transactions, first in bulk: the entries that there are against those that the transactions call for, one that gives and
-- one that takes, as two bags of rows. Both are dealt into 4096 buckets by transaction, and each bucket's number of rows and sum
-- of their hashes are compared, which needs no room for the rows themselves. Bags of one bucket that differ have, but for
-- one chance in 2^64, different sums. (Hashed twice: a hash of several columns is joined by XOR, and what rows have in common,
-- such as a wrong currency, would cancel out. Summed and not joined by XOR: so would a row that is there twice.)
CREATE OR REPLACE TABLE odd_buckets AS
SELECT coalesce(e.bucket, t.bucket) AS bucket
  FROM (SELECT hash(transaction_id) % 4096 AS bucket, count(*) AS n,
               sum(hash(hash(transaction_id, account, amount::HUGEINT, currency))) AS legs
          FROM entries WHERE transaction_id IS NOT NULL GROUP BY bucket) AS e
  FULL JOIN (SELECT hash(transaction_id) % 4096 AS bucket, 2 * count(*) AS n,
                    sum(hash(hash(transaction_id, from_account, -amount::HUGEINT, currency)))
                    + sum(hash(hash(transaction_id, to_account, amount::HUGEINT, currency))) AS legs,
                    bool_and(coalesce(amount > 0, false) AND from_account IS NOT NULL AND to_account IS NOT NULL) AS plain
               FROM transactions WHERE transaction_id IS NOT NULL GROUP BY bucket) AS t ON e.bucket = t.bucket
 WHERE NOT coalesce(e.n = t.n AND e.legs = t.legs AND t.plain, false);

-- Then one by one, in the buckets that are odd: not exactly one entry that gives and one that takes, of the transaction's
-- amount and currency, on its payer's and its payee's account. Where it does not name them, the two must only cancel out.
CREATE OR REPLACE TABLE suspect_transactions AS
SELECT coalesce(e.transaction_id, t.transaction_id) AS transaction_id
  FROM (SELECT transaction_id, count(*) AS n, sum(amount) AS off, max(amount) AS most,
               bit_xor(hash(hash(account, amount::HUGEINT, currency))) AS legs, bit_xor(hash(currency)) AS coins
          FROM entries WHERE hash(transaction_id) % 4096 IN (FROM odd_buckets) GROUP BY transaction_id) AS e
  FULL JOIN (SELECT transaction_id, amount,
                    CASE WHEN from_account IS NOT NULL AND to_account IS NOT NULL
                         THEN xor(hash(hash(from_account, -amount::HUGEINT, currency)),
                                  hash(hash(to_account, amount::HUGEINT, currency))) END AS legs
               FROM transactions WHERE hash(transaction_id) % 4096 IN (FROM odd_buckets)) AS t
         ON e.transaction_id = t.transaction_id
 WHERE NOT coalesce(n = 2 AND off = 0 AND most > 0 AND coins = 0 AND t.transaction_id IS NOT NULL
                    AND (t.legs IS NULL OR (most = amount AND e.legs = t.legs)), false)
UNION ALL
SELECT transaction_id FROM transactions WHERE hash(transaction_id) % 4096 IN (FROM odd_buckets)
 GROUP BY transaction_id HAVING count(*) > 1;

-- Holds: a key whose posted holds and transactions do not go together.
CREATE OR REPLACE TABLE suspect_holds AS
SELECT s.h
  FROM (SELECT hash(key) AS h, count(*) FILTER (WHERE state = 'posted') AS posted
          FROM holds WHERE key IS NOT NULL GROUP BY h) AS s
  LEFT JOIN (SELECT DISTINCT hash(key) AS h FROM transactions
              WHERE key IS NOT NULL AND hash(key) IN (SELECT hash(key) FROM holds)) AS p ON s.h = p.h
 WHERE s.posted > 1 OR (s.posted = 1) <> (p.h IS NOT NULL);
