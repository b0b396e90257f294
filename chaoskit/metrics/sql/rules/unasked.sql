-- Invariant 6: no transaction without a key; and none of a client that no client of this run ever sent.
SELECT t.transaction_id::VARCHAR AS subject,
       format('transaction {} ({} {}) has {}', coalesce(t.transaction_id::VARCHAR, '-'),
              coalesce(t.amount::VARCHAR, '-'), coalesce(t.currency, '-'),
              CASE WHEN coalesce(t.key, '') = '' THEN 'no key' ELSE 'key ' || t.key || ', which nobody sent' END) AS detail
  FROM questioned_by_key AS t
  LEFT JOIN asked USING (key)
 WHERE coalesce(t.key, '') = ''
    OR (t.source = 'client' AND asked.key IS NULL AND hash(t.key) IN (SELECT h FROM suspect_hashes))
 ORDER BY subject
