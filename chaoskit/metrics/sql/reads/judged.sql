-- Reads that could have been stale: their account had an acknowledged write before they were sent. `unnumbered`: those
-- of them that are not held against the books, because after a loss entries are given numbers anew.
SELECT count(*) FILTER (WHERE r.sent >= since) AS judged,
       count(*) FILTER (WHERE r.sent < since) AS unnumbered,
       count(*) FILTER (WHERE r.sent >= since AND r.odd) AS odd
  FROM reads AS r
  ASOF JOIN written AS w ON r.account = w.account AND r.sent > w.done, numbered
