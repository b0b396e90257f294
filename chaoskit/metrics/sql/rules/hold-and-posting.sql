-- Invariant 9: a key whose hold was posted has its transaction, one hold only was posted for it, and a key with holds
-- and a transaction has a posted one. One that was posted for no key at all has no transaction of its own.
SELECT h.key AS subject,
       format('key {}: {} posted holds, {} transactions', h.key, h.posted, coalesce(p.n, 0)) AS detail
  FROM (SELECT key, count(*) FILTER (WHERE state = 'posted') AS posted FROM questioned_holds WHERE key IS NOT NULL GROUP BY key) AS h
  LEFT JOIN questioned_postings AS p USING (key)
 WHERE h.posted > 1 OR (h.posted = 1) <> (coalesce(p.n, 0) > 0)
UNION ALL
SELECT '-', format('hold {} ({} {}) is posted, and has no key', coalesce(hold_id::VARCHAR, '-'),
                   coalesce(amount::VARCHAR, '-'), coalesce(currency, '-'))
  FROM holds WHERE key IS NULL AND state = 'posted'
 ORDER BY subject, detail
