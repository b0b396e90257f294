-- The hole check: x is lost and y survives, though y was sent only after x had been acknowledged. Replication lag
-- cuts off a tail and cannot do that. Both must have been on one database: before the fault, or after the recovery.
WITH lost AS (
    SELECT key, done, CASE WHEN done <= $before THEN 1 WHEN sent >= $after THEN 2 END AS era
      FROM questioned_keys ANTI JOIN questioned_postings USING (key)
     WHERE outcome = 'ok'
), survived AS (
    SELECT key, sent, CASE WHEN done <= $before THEN 1 WHEN sent >= $after THEN 2 END AS era
      FROM keys
     WHERE outcome = 'ok' AND sent > (SELECT min(done) FROM lost) AND key NOT IN (SELECT key FROM lost)
)
SELECT x.key, y.key
  FROM (FROM lost WHERE era IS NOT NULL) AS x
  ASOF JOIN (FROM survived WHERE era IS NOT NULL) AS y ON x.era = y.era AND x.done < y.sent
 ORDER BY x.done, x.key
