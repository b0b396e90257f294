-- The hole check: x is lost and y survives, though y was sent only after x had been acknowledged. Replication lag
-- cuts off a tail and cannot do that. Both must have been on one database: before the fault, or after the recovery.
WITH told AS (
    SELECT k.key, k.sent, k.done, p.key IS NOT NULL AS survives,
           CASE WHEN k.done <= $before THEN 1 WHEN k.sent >= $after THEN 2 END AS era
      FROM keys AS k LEFT JOIN postings AS p USING (key)
     WHERE k.outcome = 'ok'
)
SELECT x.key, y.key
  FROM (SELECT * FROM told WHERE NOT survives AND era IS NOT NULL) AS x
  ASOF JOIN (SELECT * FROM told WHERE survives AND era IS NOT NULL) AS y
    ON x.era = y.era AND x.done < y.sent
 ORDER BY x.done, x.key
