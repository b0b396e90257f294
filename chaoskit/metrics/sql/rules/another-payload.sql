-- A key belongs to its first payload for ever. The load sends used keys with another payload: whoever acknowledges that tells
-- a customer that a payment was made which was not, or makes a second one under the first one's key.
SELECT key AS subject,
       format('key {} was used, and acknowledged again for another payload: {} {}', key, coalesce(amount::VARCHAR, '-'),
              coalesce(currency, '-')) AS detail
  FROM operations
 WHERE other AND outcome = 'ok'
 ORDER BY subject
