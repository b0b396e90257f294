-- Invariant 10: what core, payments, ATM and clearing say was turned over in a cycle is the same. Each system that tells of a
-- currency in any cycle tells of it once in every cycle.
WITH usual AS (SELECT currency, count(DISTINCT system) AS systems FROM cycles GROUP BY currency)
SELECT format('{} {}', coalesce(c.cycle, '-'), coalesce(c.currency, '-')) AS subject,
       format('cycle {} in {}: {}', coalesce(c.cycle, '-'), coalesce(c.currency, '-'),
              string_agg(format('{} {}', coalesce(c.system, '-'), coalesce(c.total::VARCHAR, 'nothing')), ', '
                         ORDER BY c.system, c.total)
              || CASE WHEN count(DISTINCT c.system) < any_value(u.systems)
                      THEN format(', and nothing of {} more', any_value(u.systems) - count(DISTINCT c.system))
                      ELSE '' END) AS detail
  FROM cycles AS c JOIN usual AS u ON c.currency IS NOT DISTINCT FROM u.currency
 GROUP BY c.cycle, c.currency
HAVING count(DISTINCT c.total) <> 1 OR count(c.total) <> any_value(u.systems)
    OR count(*) <> any_value(u.systems) OR count(DISTINCT c.system) <> any_value(u.systems)
 ORDER BY subject
