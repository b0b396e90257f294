-- Every key that was accepted to be done later: how many transactions it has, and the least that its payer ever had, so
-- that it can be told whether the money for it may really have been spent. What a reservation kept back for a while is
-- taken off: it was not there either.
WITH accepted AS (
    SELECT key, min(o.journey) AS journey, min(amount) AS amount, min(currency) AS currency,
           min(sent) AS sent, min(done) AS done, min(json_extract_string(drawn, d.payer)) AS payer
      FROM operations AS o LEFT JOIN parties AS d USING (journey)
     WHERE outcome = 'accepted' AND NOT coalesce(other, false)
     GROUP BY key
), had AS (
    SELECT account, currency, min(balance) AS least
      FROM (SELECT account, currency, opening AS balance FROM balances WHERE account IN (SELECT payer FROM accepted)
            UNION ALL
            SELECT e.account, e.currency,
                   b.opening + sum(e.amount) OVER (PARTITION BY e.account, e.currency ORDER BY e.entry_id)
              FROM entries AS e JOIN balances AS b ON e.account = b.account AND e.currency = b.currency
             WHERE e.account IN (SELECT payer FROM accepted))
     GROUP BY account, currency
), kept AS (
    SELECT json_extract_string(k.drawn, d.payer) AS account, h.currency, sum(h.amount) AS amount
      FROM holds AS h JOIN keys AS k USING (key) JOIN parties AS d USING (journey)
     WHERE h.state IS DISTINCT FROM 'posted'
     GROUP BY ALL
)
SELECT a.key, a.journey, a.amount, a.currency, a.sent, a.done, coalesce(p.n, 0) AS transactions,
       had.least - coalesce(kept.amount, 0) AS least
  FROM accepted AS a
  LEFT JOIN postings AS p USING (key)
  LEFT JOIN had ON had.account = a.payer AND had.currency = a.currency
  LEFT JOIN kept ON kept.account = a.payer AND kept.currency = a.currency
 ORDER BY a.done, a.key
