-- Invariant 1: the entries of a transaction sum to zero in each currency.
SELECT transaction_id::VARCHAR AS subject,
       format('transaction {} (key {}) is off by {} {}', transaction_id::VARCHAR, coalesce(any_value(key), '-'),
              sum(amount)::VARCHAR, currency) AS detail
  FROM questioned_entries
 GROUP BY transaction_id, currency
HAVING sum(amount) <> 0
 ORDER BY subject
