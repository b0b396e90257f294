-- The operations, straight from the measurers' journals: what was about to be sent, with the answer if there was one.
-- Without an answer its outcome is unknown, and it counts as sent when it was about to be; a missed one was never sent.
CREATE OR REPLACE TABLE recorded AS
SELECT i.key, i.journey, i.tap, i.other,
       CASE WHEN i.r = 'missed' THEN NULL WHEN d.id IS NULL THEN i.woke ELSE d.sent END AS sent,
       d.done,
       CASE WHEN i.r = 'missed' THEN 'fail' ELSE coalesce(d.outcome, 'unknown') END AS outcome,
       d.error,
       i.payload_hash, i.amount, i.currency, i."values"
  FROM read_json('ops/*.jsonl', format = 'newline_delimited', filename = true, maximum_object_size = 67108864,
                 columns = {r: 'VARCHAR', id: 'BIGINT', key: 'VARCHAR', journey: 'VARCHAR', tap: 'BOOLEAN',
                            other: 'BOOLEAN', woke: 'BIGINT', payload_hash: 'VARCHAR', amount: 'BIGINT',
                            currency: 'VARCHAR', "values": 'JSON'}) AS i
  LEFT JOIN (SELECT filename, id, sent, done, outcome, error
               FROM read_json('ops/*.jsonl', format = 'newline_delimited', filename = true,
                              maximum_object_size = 67108864,
                              columns = {r: 'VARCHAR', id: 'BIGINT', sent: 'BIGINT', done: 'BIGINT',
                                         outcome: 'VARCHAR', error: 'VARCHAR'})
              WHERE r = 'done') AS d USING (filename, id)
 WHERE i.r IN ('intent', 'missed');
