-- Invariant 1: the entries of a transaction sum to zero in each currency, and each of them has an amount.
SELECT transaction_id::VARCHAR AS subject,
       format('transaction {} (key {}) is off by {} {}{}', transaction_id::VARCHAR, coalesce(any_value(key), '-'),
              coalesce(sum(amount), 0)::VARCHAR, coalesce(currency, '-'),
              CASE WHEN count(amount) < count(*) THEN format(', and {} entries have no amount', count(*) - count(amount))
                   ELSE '' END) AS detail
  FROM questioned_entries
 GROUP BY transaction_id, currency
HAVING sum(amount) <> 0 OR count(amount) < count(*)
 ORDER BY subject
