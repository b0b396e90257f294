-- A balance that is not the opening balance and the account's entries up to the position that it claims. A position
-- that the surviving ledger does not have (it was lost) cannot be judged here: nothing-lost does.
WITH sums AS (
    SELECT e.account, e.entry_id,
           b.opening + sum(e.amount) OVER (PARTITION BY e.account, e.currency ORDER BY e.entry_id) AS balance
      FROM entries AS e JOIN balances AS b ON e.account = b.account AND e.currency = b.currency
)
SELECT r.key AS subject,
       format('{} of {} ({}) was shown as {}, and as of entry {} it was {}',
              r.journey, r.account, r.key, r.value, r.position, s.balance) AS detail
  FROM reads AS r JOIN sums AS s ON r.account = s.account AND r.position = s.entry_id
 WHERE r.value IS NOT NULL AND r.value <> s.balance AND r.sent >= (SELECT since FROM numbered)
 ORDER BY subject
