-- The entries move what the transaction says, from its payer to its payee and nowhere else. An entry that was written
-- twice, halved or booked to another account leaves every sum right. Where a transaction does not name its parties,
-- only entries of no transaction at all are found.
SELECT transaction_id::VARCHAR AS subject,
       format('transaction {} (key {}) is off by {}', transaction_id::VARCHAR, coalesce(any_value(key), '-'),
              string_agg(format('{} {} on {}', off::VARCHAR, coalesce(currency, '-'), coalesce(account, '-')), ', '
                         ORDER BY account)) AS detail
  FROM (SELECT transaction_id, any_value(key) AS key, account, currency, sum(amount) AS off
          FROM (SELECT transaction_id, key, account, amount, currency
                  FROM questioned_entries AS e
                 WHERE NOT EXISTS (FROM questioned_transactions AS t WHERE t.transaction_id = e.transaction_id)
                    OR EXISTS (FROM questioned_transactions AS t WHERE t.transaction_id = e.transaction_id
                                  AND t.from_account IS NOT NULL AND t.to_account IS NOT NULL)
                UNION ALL
                SELECT transaction_id, key, unnest([from_account, to_account]), unnest([amount, -amount]), currency
                  FROM questioned_transactions
                 WHERE from_account IS NOT NULL AND to_account IS NOT NULL)
         GROUP BY transaction_id, account, currency
        HAVING sum(amount) <> 0)
 GROUP BY transaction_id
 ORDER BY subject
