-- Invariant 2: the stored balance is the opening balance plus every entry, and there is one. Books of one currency need not
-- name it.
SELECT coalesce(b.account, e.account) AS subject,
       format('account {}: stored {} {}, opening and entries make {}', coalesce(b.account, e.account, '-'),
              coalesce(b.balance::VARCHAR, 'nothing'), coalesce(b.currency, e.currency, '-'),
              (coalesce(b.opening, 0) + coalesce(e.moved, 0))::VARCHAR) AS detail
  FROM balances AS b
  FULL JOIN (SELECT account, currency, sum(amount) AS moved FROM entries GROUP BY account, currency) AS e
         ON b.account = e.account AND b.currency IS NOT DISTINCT FROM e.currency
 WHERE b.balance IS DISTINCT FROM coalesce(b.opening, 0) + coalesce(e.moved, 0)
UNION ALL
SELECT account, format('account {}: {} stored balances {}, {} to {}', coalesce(account, '-'), count(*), coalesce(currency, '-'),
                       min(balance)::VARCHAR, max(balance)::VARCHAR)
  FROM balances GROUP BY account, currency HAVING count(*) > 1
 ORDER BY subject, detail
