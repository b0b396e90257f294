-- Which columns operations and transactions can be compared by: those that both sides have. roles: journeys say who pays and
-- is paid. payloads is found by own_hashes.sql.
CREATE OR REPLACE TABLE compared AS
SELECT amounts, currencies, parties, parties AND journeys AS roles, false AS payloads
  FROM (SELECT EXISTS (FROM operations WHERE amount IS NOT NULL)
               AND EXISTS (FROM transactions WHERE amount IS NOT NULL) AS amounts,
               EXISTS (FROM transactions WHERE currency IS NOT NULL) AS currencies,
               EXISTS (FROM transactions WHERE from_account IS NOT NULL AND to_account IS NOT NULL) AS parties,
               EXISTS (FROM operations JOIN parties USING (journey)) AS journeys);
