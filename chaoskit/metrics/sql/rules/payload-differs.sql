-- Invariant 7: the payload's hash is equal on both sides. Where the system hashes in its own way
-- (not one key agrees) no key is questioned for it.
SELECT k.key AS subject, format('key {}: another payload was posted than was sent', k.key) AS detail
  FROM questioned_keys AS k JOIN questioned_postings AS p USING (key)
 WHERE k.payload_hash <> p.payload_hash AND (SELECT payloads FROM compared)
 ORDER BY subject
