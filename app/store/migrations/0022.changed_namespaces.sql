-- depends: 0021.dead_letters

-- What has changed lately is looked at again and again, and is a small part of all.
CREATE INDEX namespaces_version ON namespaces (version);
CREATE INDEX namespaces_deleted ON namespaces (deleted_at) WHERE deleted_at IS NOT NULL;
