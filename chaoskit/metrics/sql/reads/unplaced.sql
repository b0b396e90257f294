-- Reads whose position is no entry of their account, and whose balance is not what it had by then: a position of the whole
-- ledger, by which the account's last entry up to it counts. It is no proof of an untrue one: ids are given before entries
-- can be seen, and one that nobody has any more was perhaps shown and lost before it was acknowledged, where somebody's
-- payment of that account was in doubt. Of an account in several currencies nobody knows which.
WITH doubtful AS (
    SELECT DISTINCT unnest(json_extract_string(drawn, '$.*')) AS account FROM operations WHERE outcome = 'unknown'
), apart AS MATERIALIZED (
    SELECT r.key, r.account, r.position, r.value
      FROM reads AS r
      ANTI JOIN entries AS e ON r.position = e.entry_id AND r.account = e.account
     WHERE r.value IS NOT NULL AND NOT r.unsaid AND r.position <> 0 AND r.sent >= (SELECT since FROM numbered)
       AND (r.account NOT IN (SELECT account FROM doubtful WHERE account IS NOT NULL)
            OR r.position IN (SELECT entry_id FROM entries))
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
