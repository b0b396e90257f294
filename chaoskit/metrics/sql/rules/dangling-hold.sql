-- Invariant 9: every hold is posted, voided or expired; money is not set aside for ever.
SELECT hold_id::VARCHAR AS subject,
       format('hold {} of key {} is still {}: {} {}', hold_id::VARCHAR, coalesce(key, '-'), coalesce(state, 'nothing'),
              coalesce(amount::VARCHAR, '-'), coalesce(currency, '-')) AS detail
  FROM holds
 WHERE state IS NULL OR state NOT IN ('posted', 'voided', 'expired')
 ORDER BY subject
