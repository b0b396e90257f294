-- What the rules have to look at. What agrees in bulk is set aside already (agreeing.sql); of the rest, one pass over each table
-- tells what agrees one by one, and the rules then judge the few rows that are left, column by column. A row is left out
-- only if no rule could object to it. Rows are brought together by 64-bit hashes, so that millions fit into memory: two
-- that share one by chance are both left in, or, once in 2^64 comparisons, a wrong entry is left out.
-- Keys: acknowledged and not posted, posted and not acknowledged, posted twice, unlike what was sent, nobody's, or used again
-- for another payload.
CREATE OR REPLACE TABLE suspect_hashes AS
SELECT coalesce(k.h, p.h) AS h
  FROM (SELECT h, outcome, amount, currency, drawn, CASE WHEN payload_hash IS NOT NULL THEN hash(payload_hash) END AS payload,
               coalesce(payer_is, ':"') AS payer_is, coalesce(payee_is, ':"') AS payee_is
          FROM odd_operations LEFT JOIN parties USING (journey)
         WHERE sent IS NOT NULL AND NOT coalesce(other, false)) AS k
  FULL JOIN (SELECT h, coalesce(source = 'client', false) AS client, amount, currency, from_account, to_account,
                    CASE WHEN payload_hash IS NOT NULL THEN hash(payload_hash) END AS payload
               FROM odd_postings WHERE key IS NOT NULL) AS p ON k.h = p.h
 WHERE coalesce((k.h IS NULL AND p.client)
                OR (p.h IS NULL AND k.outcome <> 'fail')
                OR (p.h IS NOT NULL AND k.outcome <> 'ok')
                OR (p.h IS NOT NULL AND k.amount IS NOT NULL AND (SELECT amounts FROM compared)
                    AND (k.amount IS DISTINCT FROM p.amount OR k.currency IS DISTINCT FROM p.currency))
                OR (k.payload <> p.payload AND (SELECT payloads FROM compared))
                -- As a JSON value ':"X"' cannot be anything else, nor can '"payer":"X"'; an X that JSON writes
                -- otherwise stays in.
                OR (k.h IS NOT NULL AND p.h IS NOT NULL AND (SELECT parties FROM compared)
                    AND NOT coalesce(p.from_account <> p.to_account  -- once drawn, it would be found twice
                                     AND contains(k.drawn, k.payer_is || p.from_account || '"')
                                     AND contains(k.drawn, k.payee_is || p.to_account || '"'), false)), false)
UNION
SELECT h FROM odd_postings WHERE key IS NOT NULL GROUP BY h HAVING count(*) > 1
UNION
SELECT h FROM odd_operations WHERE other;

-- Transactions: not exactly one entry that gives and one that takes, of the transaction's amount and currency, on its
-- payer's and its payee's account. Where it does not name them, the two must only cancel out.
CREATE OR REPLACE TABLE suspect_transactions AS
SELECT coalesce(e.transaction_id, t.transaction_id) AS transaction_id
  FROM (SELECT transaction_id, count(*) AS n, sum(amount) AS off, max(amount) AS most,
               bit_xor(hash(hash(account, exactly(amount), currency))) AS legs, bit_xor(hash(currency)) AS coins
          FROM entries WHERE hash(transaction_id) % 4096 IN (FROM odd_transactions) GROUP BY transaction_id) AS e
  FULL JOIN (SELECT transaction_id, amount,
                    CASE WHEN from_account IS NOT NULL AND to_account IS NOT NULL
                         THEN xor(hash(hash(from_account, exactly(-amount::HUGEINT), currency)),
                                  hash(hash(to_account, exactly(amount), currency))) END AS legs
               FROM transactions WHERE hash(transaction_id) % 4096 IN (FROM odd_transactions)) AS t
         ON e.transaction_id = t.transaction_id
 WHERE NOT coalesce(n = 2 AND off = 0 AND most > 0 AND coins = 0 AND t.transaction_id IS NOT NULL
                    AND (t.legs IS NULL OR (most = amount AND e.legs = t.legs)), false)
UNION ALL
SELECT transaction_id FROM transactions WHERE hash(transaction_id) % 4096 IN (FROM odd_transactions)
 GROUP BY transaction_id HAVING count(*) > 1;
