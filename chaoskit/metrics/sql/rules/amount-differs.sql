-- The ledger holds what the customer asked for: same amount, same currency.
SELECT k.key AS subject,
       format('key {}: asked for {} {}, posted {} {}', k.key, k.amount::VARCHAR, k.currency, p.amount::VARCHAR,
              p.currency) AS detail
  FROM questioned_keys AS k JOIN questioned_postings AS p USING (key)
 WHERE k.amount IS NOT NULL AND p.amount IS NOT NULL
   AND (k.amount <> p.amount OR k.currency IS DISTINCT FROM p.currency)
 ORDER BY subject
