-- depends: 0015.veiled

-- Deleted namespaces that still have archives are gone through once more: these go, too.
UPDATE namespaces n SET dropped_at = NULL
WHERE deleted_at IS NOT NULL AND EXISTS (SELECT FROM seals s WHERE s.namespace_id = n.id);
