-- A read that was sent after a write of its account had been acknowledged, and is as of an earlier entry. One that says
-- how old it is (age) owes only what had been acknowledged by then: so long before it was sent, because the answer was made
-- no earlier, and what came to be known in between need not be in it.
SELECT r.key AS subject,
       format('{} of {} ({}) is as of entry {}, though entry {} had been acknowledged {} ms before it was asked for',
              r.journey, r.account, r.key, r.position, w.entry, (r.sent - w.done) // 1000000) AS detail
  FROM reads AS r
  ASOF JOIN written AS w
    ON r.account = w.account AND r.sent - coalesce(r.age, 0) > w.done
 WHERE w.entry > r.position AND r.sent >= (SELECT since FROM numbered)
 ORDER BY subject
