-- Invariant 8: the serials of a pad of paper slips are contiguous, and none was used twice. A slip that is not there may be
-- a payment that was taken and never keyed in.
WITH serials AS (
    SELECT pad, serial, count(*) AS n,
           lag(serial) OVER (PARTITION BY pad ORDER BY serial NULLS FIRST) AS last
      FROM paper GROUP BY pad, serial
)
SELECT format('{}/{}', coalesce(pad, '-'), coalesce(serial::VARCHAR, '-')) AS subject,
       CASE WHEN serial IS NULL THEN format('{} slips of pad {} have no serial', n, coalesce(pad, '-'))
            ELSE format('serial {} of pad {} was used {} times', serial, coalesce(pad, '-'), n) END AS detail
  FROM serials
 WHERE n > 1 OR serial IS NULL
UNION ALL
SELECT format('{}/{}', coalesce(pad, '-'), last + 1) AS subject,
       format('pad {} lacks the serials {} to {}', coalesce(pad, '-'), last + 1, serial - 1) AS detail
  FROM serials
 WHERE serial > last + 1
 ORDER BY subject
