-- Per account, by when its acknowledged writes were acknowledged: the last entry that a customer knows of by then.
CREATE OR REPLACE TABLE written AS
SELECT account, done, max(entry) OVER (PARTITION BY account ORDER BY done, entry) AS entry
  FROM (SELECT e.account, k.done, max(e.entry_id) AS entry
          FROM keys AS k JOIN entries AS e USING (key)
         WHERE k.outcome = 'ok' AND e.account IN (SELECT account FROM reads)
         GROUP BY e.account, k.key, k.done)
