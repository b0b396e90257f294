-- Every key whose outcome the customer never learnt, resolved by key (never by transaction id: after a promotion ids
-- are used again). held: no transaction, and money still set aside for it.
SELECT k.key, k.journey,
       CASE WHEN p.n = 1 THEN 'posted'
            WHEN p.n > 1 THEN 'doubled'
            WHEN h.key IS NOT NULL THEN 'held'
            ELSE 'absent' END AS resolution
  FROM questioned_keys AS k
  LEFT JOIN questioned_postings AS p USING (key)
  LEFT JOIN (SELECT DISTINCT key FROM holds WHERE state NOT IN ('posted', 'voided', 'expired')) AS h USING (key)
 WHERE k.outcome = 'unknown'
 ORDER BY k.key
