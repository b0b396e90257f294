-- Reads that could have been stale: their account had an acknowledged write before they were sent.
SELECT count(*)
  FROM reads AS r
  ASOF JOIN written AS w ON r.account = w.account AND r.sent > w.done
