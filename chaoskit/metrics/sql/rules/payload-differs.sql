-- Invariant 7: the payload's hash is equal on both sides. A system may hash in its own way: where not one key agrees,
-- the two hashes are of different things and nothing is said.
SELECT k.key AS subject, format('key {}: another payload was posted than was sent', k.key) AS detail
  FROM keys AS k JOIN postings AS p USING (key)
 WHERE k.payload_hash <> p.payload_hash
   AND EXISTS (FROM keys AS a JOIN postings AS b USING (key) WHERE a.payload_hash = b.payload_hash)
 ORDER BY subject
