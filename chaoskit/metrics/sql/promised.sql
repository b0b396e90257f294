-- Every key that was accepted to be done later: how many transactions it has, and the least that its payer had from then
-- on, so that it can be told whether the money for it may really have been spent. From then on: from the last entry of
-- the payer that had been acknowledged before the promise was asked for, as what he had earlier excuses nothing. (A key
-- that was sent again may have an entry from after its acknowledgement: lost with the primary, and booked once more.)
-- What a reservation kept back for a while is taken off: it was not there either.
WITH accepted AS (
    SELECT key, min(o.journey) AS journey, min(amount) AS amount, min(currency) AS currency,
           -- Books of one currency need not name it.
           CASE WHEN EXISTS (FROM balances WHERE currency IS NOT NULL) THEN coalesce(min(currency), '') ELSE '' END AS coin,
           min(sent) AS sent, min(done) AS done, min(json_extract_string(drawn, d.payer)) AS payer
      FROM operations AS o LEFT JOIN parties AS d USING (journey)
     WHERE outcome = 'accepted' AND NOT coalesce(other, false)
     GROUP BY key
), known AS (
    SELECT account, currency, done,
           max(entry) OVER (PARTITION BY account, currency ORDER BY done, entry) AS entry
      FROM (SELECT e.account, coalesce(e.currency, '') AS currency, k.done, max(e.entry_id) AS entry
              FROM keys AS k JOIN entries AS e USING (key)
             WHERE k.outcome = 'ok' AND k.sendings = 1 AND e.account IN (SELECT payer FROM accepted)
             GROUP BY e.account, e.currency, k.key, k.done)
), since AS (
    SELECT a.key, a.payer, a.coin, coalesce(w.entry, -1) AS entry
      FROM accepted AS a
      ASOF LEFT JOIN known AS w ON a.payer = w.account AND a.coin = w.currency AND a.sent > w.done
), had AS (
    SELECT s.key, min(m.balance) AS least
      FROM since AS s
      JOIN (SELECT account, currency, -1 AS entry, opening AS balance
              FROM balances WHERE account IN (SELECT payer FROM accepted)
             UNION ALL
            SELECT e.account, e.currency, e.entry_id,
                   b.opening + sum(e.amount) OVER (PARTITION BY e.account, e.currency ORDER BY e.entry_id)
              FROM entries AS e JOIN balances AS b ON e.account = b.account AND e.currency IS NOT DISTINCT FROM b.currency
             WHERE e.account IN (SELECT payer FROM accepted)) AS m
        ON m.account = s.payer AND coalesce(m.currency, '') = s.coin AND m.entry >= s.entry
     GROUP BY s.key
), kept AS (
    SELECT json_extract_string(k.drawn, d.payer) AS account, h.currency, sum(h.amount) AS amount
      FROM holds AS h JOIN keys AS k USING (key) JOIN parties AS d USING (journey)
     WHERE h.state IS DISTINCT FROM 'posted'
     GROUP BY ALL
)
SELECT a.key, a.journey, a.amount, a.currency, a.sent, a.done, coalesce(p.n, 0) AS transactions,
       had.least - coalesce(kept.amount, 0) AS least
  FROM accepted AS a
  LEFT JOIN questioned_postings AS p USING (key)  -- every promise is in question
  LEFT JOIN had ON had.key = a.key
  LEFT JOIN kept ON kept.account = a.payer AND coalesce(kept.currency, '') = a.coin
 ORDER BY a.done, a.key
