-- depends: 0017.reach

-- From now on seasons are told however late; those that are over by now are not told of any more.
INSERT INTO seasons_opened
SELECT n.id, s ->> 'name' FROM namespaces n CROSS JOIN LATERAL jsonb_array_elements(n.rules -> 'seasons') AS s
WHERE (s ->> 'ends')::timestamptz <= now() ON CONFLICT DO NOTHING;
