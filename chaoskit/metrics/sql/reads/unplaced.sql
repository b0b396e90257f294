-- Reads whose position is the entry of another account, and whose balance is not what their own had by then: a position of
-- the whole ledger, by which the account's last entry up to it counts. It is no proof of an untrue one: ids are given
-- before entries can be seen. Of an account in several currencies nobody knows which.
WITH apart AS MATERIALIZED (
    SELECT r.key, r.account, r.position, r.value
      FROM reads AS r JOIN entries AS e ON r.position = e.entry_id
     WHERE e.account <> r.account AND r.value IS NOT NULL AND NOT r.unsaid
       AND r.sent >= (SELECT since FROM numbered)
), sums AS (
    SELECT b.account, e.entry_id, b.opening + sum(e.amount) OVER (PARTITION BY b.account ORDER BY e.entry_id) AS balance
      FROM (SELECT account, any_value(opening) AS opening
              FROM balances WHERE account IN (SELECT account FROM apart) GROUP BY account HAVING count(*) = 1) AS b
      JOIN (SELECT account, entry_id, amount FROM entries
             UNION ALL
            SELECT account, 0, 0 FROM balances) AS e ON b.account = e.account
)
SELECT a.key FROM apart AS a ASOF JOIN sums AS s ON a.account = s.account AND a.position >= s.entry_id
 WHERE a.value <> s.balance
