-- Who pays and who is paid is as it was asked for: exactly, where the journey says which drawn values they are, else both
-- are among what was drawn, and one account is both only where it was drawn twice. A journey that says it, in books that
-- do, has both.
SELECT k.key AS subject,
       format('key {}: posted from {} to {}, asked for {}', k.key, coalesce(p.from_account, 'nobody'),
              coalesce(p.to_account, 'nobody'), k.drawn) AS detail
  FROM questioned_keys AS k JOIN questioned_postings AS p USING (key) LEFT JOIN parties AS d USING (journey)
 WHERE k.drawn IS NOT NULL
   AND ((d.journey IS NOT NULL AND (SELECT roles FROM compared)) OR (p.from_account IS NOT NULL AND p.to_account IS NOT NULL))
   AND CASE WHEN d.journey IS NOT NULL
            THEN p.from_account IS DISTINCT FROM json_extract_string(k.drawn, d.payer)
              OR p.to_account IS DISTINCT FROM json_extract_string(k.drawn, d.payee)
            ELSE len(json_keys(k.drawn)) >= 2
             AND NOT (list_contains(json_extract_string(k.drawn, '$.*'), p.from_account)
                  AND list_contains(json_extract_string(k.drawn, '$.*')[
                          CASE WHEN p.from_account = p.to_account
                               THEN list_position(json_extract_string(k.drawn, '$.*'), p.from_account) + 1 ELSE 1 END:],
                      p.to_account))
       END
 ORDER BY subject
