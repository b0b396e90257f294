-- Whether payload hashes can be compared: a system may hash in its own way, and where not one key agrees, the two are
-- of different things. Asked first of a thousand operations ($at_most), then of all.
UPDATE compared SET payloads = EXISTS (
       SELECT 1 FROM (SELECT key, payload_hash FROM operations
                       WHERE sent IS NOT NULL AND payload_hash IS NOT NULL LIMIT $at_most) AS k
                JOIN transactions AS p ON k.key = p.key AND k.payload_hash = p.payload_hash)
