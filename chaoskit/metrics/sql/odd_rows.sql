-- Operations and transactions that are looked at one by one: of keys that were singled out or share an odd bucket, and
-- transactions without a key. Views where they are many; where they are few, tables, so that the files are read once.
CREATE OR REPLACE VIEW odd_operations AS
SELECT *, hash(key) AS h FROM operations WHERE hash(key) IN (FROM singled_out) OR hash(key) % 4096 IN (FROM odd_keys);

CREATE OR REPLACE VIEW odd_postings AS
SELECT *, hash(key) AS h FROM transactions
 WHERE coalesce(key, '') = '' OR hash(key) IN (FROM singled_out) OR hash(key) % 4096 IN (FROM odd_keys);
