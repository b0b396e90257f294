-- A system may hash payloads in its own way: where not one key agrees, the two hashes
-- are of different things, and no key is suspect for them alone.
DELETE FROM suspect_hashes
 WHERE NOT odd AND NOT EXISTS (
       SELECT 1 FROM operations AS k JOIN transactions AS p ON hash(k.key) = hash(p.key) AND k.key = p.key
        WHERE k.sent IS NOT NULL AND k.payload_hash = p.payload_hash);
