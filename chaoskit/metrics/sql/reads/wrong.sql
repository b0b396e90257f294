-- A balance that is not the opening balance and the account's entries up to the position that it claims. A position
-- that the surviving ledger does not have (it was lost) cannot be judged here: nothing-lost does. As of nothing (0, in so
-- many words) it is the opening balance; of an account in several currencies nobody knows which.
WITH sums AS (
    SELECT e.account, e.entry_id,
           b.opening + sum(e.amount) OVER (PARTITION BY e.account, e.currency ORDER BY e.entry_id) AS balance
      FROM entries AS e JOIN balances AS b ON e.account = b.account AND e.currency IS NOT DISTINCT FROM b.currency
    UNION ALL
    SELECT account, 0, any_value(opening)
      FROM balances
     WHERE account NOT IN (SELECT account FROM entries WHERE entry_id <= 0 AND account IS NOT NULL)
     GROUP BY account
    HAVING count(*) = 1
)
SELECT r.key AS subject,
       format('{} of {} ({}) was shown as {}, and as of entry {} it was {}',
              r.journey, r.account, r.key, r.value, r.position, s.balance) AS detail
  FROM reads AS r JOIN sums AS s ON r.account = s.account AND r.position = s.entry_id
 WHERE r.value IS NOT NULL AND NOT r.unsaid AND r.value <> s.balance AND r.sent >= (SELECT since FROM numbered)
 ORDER BY subject
