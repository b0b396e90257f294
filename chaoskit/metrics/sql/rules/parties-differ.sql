-- Both parties of the transaction are among what was drawn for the request.
SELECT k.key AS subject,
       format('key {}: posted from {} to {}, asked for {}', k.key, p.from_account, p.to_account, k.drawn) AS detail
  FROM keys AS k JOIN postings AS p USING (key)
 WHERE p.from_account IS NOT NULL AND p.to_account IS NOT NULL AND k.drawn IS NOT NULL
   AND len(json_keys(k.drawn)) >= 2
   AND NOT (list_contains(json_extract_string(k.drawn, '$.*'), p.from_account)
        AND list_contains(json_extract_string(k.drawn, '$.*'), p.to_account))
 ORDER BY subject
