-- L: operations acknowledged ok whose key is absent from the surviving ledger.
SELECT k.key, k.journey, k.amount, k.currency, k.sent, k.done
  FROM questioned_keys AS k ANTI JOIN questioned_postings AS p USING (key)
 WHERE k.outcome = 'ok'
 ORDER BY k.done, k.key
