-- Invariants 3 and 5: no key has two transactions, whatever the customer was told.
SELECT key AS subject, format('key {} has {} transactions', key, n) AS detail
  FROM questioned_postings
 WHERE n > 1
 ORDER BY subject
