-- Invariant 2: the stored balance is the opening balance plus every entry.
SELECT account AS subject,
       format('account {}: stored {} {}, opening and entries make {}', account, coalesce(b.balance::VARCHAR, 'nothing'),
              currency, (coalesce(b.opening, 0) + coalesce(e.moved, 0))::VARCHAR) AS detail
  FROM balances AS b
  FULL JOIN (SELECT account, currency, sum(amount) AS moved FROM entries GROUP BY account, currency) AS e
      USING (account, currency)
 WHERE b.balance IS DISTINCT FROM coalesce(b.opening, 0) + coalesce(e.moved, 0)
 ORDER BY subject
