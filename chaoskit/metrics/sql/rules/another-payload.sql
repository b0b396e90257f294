-- A key belongs to its first payload for ever. The load sends used keys with another payload: whoever acknowledges that tells
-- a customer that a payment was made which was not, or makes a second one under the first one's key. So does whoever
-- posts it, whatever he answered.
SELECT o.key AS subject,
       format('key {} was used, and {} for another payload: {} {}', o.key,
              CASE WHEN o.outcome IN ('ok', 'accepted') THEN 'acknowledged again' ELSE 'posted again' END,
              coalesce(o.amount::VARCHAR, '-'), coalesce(o.currency, '-')) AS detail
  FROM questioned_operations AS o
 WHERE o.other
   AND (o.outcome IN ('ok', 'accepted')
        OR EXISTS (FROM questioned_by_key AS t JOIN questioned_keys AS k ON k.key = t.key
                    WHERE t.key = o.key
                      AND ((t.amount = o.amount AND o.amount <> k.amount)
                           OR (t.payload_hash = o.payload_hash AND o.payload_hash <> k.payload_hash))))
 ORDER BY subject
