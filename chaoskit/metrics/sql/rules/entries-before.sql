-- Invariant 12: every entry that was there before the fault is there unchanged, and once. Rows are compared by a 64-bit hash
-- of all their columns, so that millions fit into memory.
WITH differing AS (
    SELECT entry_id
      FROM (SELECT entry_id, hash(transaction_id::VARCHAR, key, account, amount::HUGEINT, currency) AS h, 1 AS n
              FROM before
            UNION ALL
            SELECT entry_id, hash(transaction_id::VARCHAR, key, account, amount::HUGEINT, currency), -1
              FROM entries WHERE entry_id IN (SELECT entry_id FROM before))
     GROUP BY entry_id, h
    HAVING sum(n) <> 0
), rows AS (
    SELECT 'before' AS era, *
      FROM (SELECT * FROM before WHERE entry_id IN (FROM differing))
    UNION ALL
    SELECT 'now', *
      FROM (SELECT * FROM entries WHERE entry_id IN (FROM differing))
), told AS (
    SELECT entry_id, era,
           string_agg(format('{} {} on {} (transaction {}, key {})', amount::VARCHAR, coalesce(currency, '-'),
                             coalesce(account, '-'), coalesce(transaction_id::VARCHAR, '-'), coalesce(key, '-')), ', '
                      ORDER BY amount, account, key) AS said
      FROM rows GROUP BY entry_id, era
)
SELECT b.entry_id::VARCHAR AS subject,
       format('entry {} was {} before the fault, and is {}', b.entry_id::VARCHAR, b.said,
              coalesce(n.said, 'gone')) AS detail
  FROM (FROM told WHERE era = 'before') AS b LEFT JOIN (FROM told WHERE era = 'now') AS n USING (entry_id)
 ORDER BY subject
