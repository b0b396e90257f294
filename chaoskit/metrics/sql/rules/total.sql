-- Conservation: transfers move money, they do not make it. On its own this proves little: after losing whole
-- transactions the sum of all balances is still exactly right.
SELECT currency AS subject,
       format('all balances in {} sum to {}, they opened with {}', coalesce(currency, '-'), sum(balance)::VARCHAR,
              sum(opening)::VARCHAR) AS detail
  FROM balances
 GROUP BY currency
HAVING sum(balance) <> sum(opening)
 ORDER BY subject
