-- The ledger holds what the customer asked for: same amount, same currency. Of none at all only books that have amounts, or
-- currencies, are held to that.
SELECT k.key AS subject,
       format('key {}: asked for {} {}, posted {} {}', k.key, k.amount::VARCHAR, coalesce(k.currency, '-'),
              coalesce(p.amount::VARCHAR, 'nothing'), coalesce(p.currency, '-')) AS detail
  FROM questioned_keys AS k JOIN questioned_postings AS p USING (key), compared AS c
 WHERE c.amounts AND k.amount IS NOT NULL
   AND (k.amount IS DISTINCT FROM p.amount OR (c.currencies AND k.currency IS DISTINCT FROM p.currency))
 ORDER BY subject
