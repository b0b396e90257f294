-- Invariant 4: a key of which the customer was told that it certainly did not happen has no transaction. The customer
-- pays again, under another key.
SELECT k.key AS subject, format('key {} was refused, and posted ({} {})', k.key, coalesce(p.amount::VARCHAR, '-'),
              coalesce(p.currency, '-')) AS detail
  FROM questioned_keys AS k JOIN questioned_postings AS p USING (key)
 WHERE k.outcome = 'fail'
 ORDER BY subject
