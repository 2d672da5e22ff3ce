-- depends: 0045.accept_future_max

-- The key that made a namespace, so that those of one key can be counted.
ALTER TABLE namespaces ADD COLUMN created_by text;
UPDATE namespaces n SET created_by = a.actor FROM audit a WHERE a.namespace_id = n.id AND a.type = 'namespace_created';
CREATE INDEX namespaces_created_by ON namespaces (created_by) WHERE deleted_at IS NULL;
