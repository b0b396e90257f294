-- Invariant 12: every entry that was there before the fault is there unchanged, and once. Compared in bulk first, as agreeing.sql
-- does; rows of odd buckets are compared by a 64-bit hash of all their columns.
WITH odd AS MATERIALIZED (
    SELECT coalesce(b.bucket, e.bucket) AS bucket
      FROM (SELECT hash(entry_id) % 4096 AS bucket, count(*) AS n,
                   sum(hash(hash(entry_id, transaction_id::VARCHAR, key, account, exactly(amount), currency))) AS rows
              FROM before GROUP BY bucket) AS b
      FULL JOIN (SELECT hash(entry_id) % 4096 AS bucket, count(*) AS n,
                        sum(hash(hash(entry_id, transaction_id::VARCHAR, key, account, exactly(amount), currency))) AS rows
                   FROM entries WHERE entry_id IN (SELECT entry_id FROM before) GROUP BY bucket) AS e
             ON b.bucket = e.bucket
     WHERE NOT coalesce(b.n = e.n AND b.rows = e.rows, false)
), was AS MATERIALIZED (
    SELECT * FROM before WHERE hash(entry_id) % 4096 IN (FROM odd)
), found AS MATERIALIZED (
    SELECT * FROM entries WHERE entry_id IN (SELECT entry_id FROM was)
), differing AS (
    SELECT entry_id
      FROM (SELECT entry_id, hash(transaction_id::VARCHAR, key, account, exactly(amount), currency) AS h, 1 AS n FROM was
            UNION ALL
            SELECT entry_id, hash(transaction_id::VARCHAR, key, account, exactly(amount), currency), -1 FROM found)
     GROUP BY entry_id, h
    HAVING sum(n) <> 0
), rows AS (
    SELECT * FROM (SELECT 'before' AS era, * FROM was UNION ALL SELECT 'now', * FROM found)
     WHERE entry_id IN (FROM differing)
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
