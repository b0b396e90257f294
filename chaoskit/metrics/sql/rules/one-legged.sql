-- Invariant 1: a transaction has both legs, one that gives and one that takes.
SELECT transaction_id::VARCHAR AS subject,
       format('transaction {} (key {}) has {} giving and {} taking entries',
              transaction_id::VARCHAR, coalesce(any_value(key), '-'), count(*) FILTER (WHERE amount < 0),
              count(*) FILTER (WHERE amount > 0)) AS detail
  FROM (SELECT transaction_id, key, amount FROM questioned_entries
        UNION ALL
        SELECT transaction_id, key, NULL FROM questioned_transactions)
 GROUP BY transaction_id
HAVING count(*) FILTER (WHERE amount < 0) = 0 OR count(*) FILTER (WHERE amount > 0) = 0
 ORDER BY subject
