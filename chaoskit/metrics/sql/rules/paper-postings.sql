-- Invariant 8: each paper slip was keyed in as exactly one transaction, which no other slip has, and none was also posted online.
SELECT format('{}/{}', coalesce(s.pad, '-'), coalesce(s.serial::VARCHAR, '-')) AS subject,
       format('slip {} of pad {} (key {}) has {} transactions, {} of them posted online{}',
              coalesce(s.serial::VARCHAR, '-'), coalesce(s.pad, '-'), coalesce(s.key, '-'), count(t.key),
              count(*) FILTER (WHERE t.source = 'client'),
              CASE WHEN s.slips > 1 AND s.key IS NOT NULL THEN format(', for {} slips', s.slips) ELSE '' END) AS detail
  FROM (SELECT *, count(*) OVER (PARTITION BY key) AS slips FROM (SELECT DISTINCT pad, serial, key FROM paper)) AS s
  LEFT JOIN (SELECT key, source FROM transactions WHERE key IN (SELECT key FROM paper)) AS t USING (key)
 GROUP BY s.pad, s.serial, s.key, s.slips
HAVING count(t.key) <> 1 OR s.slips > 1 OR count(*) FILTER (WHERE t.source = 'client') > 0
 ORDER BY subject, detail
