-- depends: 0010.comparisons

-- Imports on their way: until then no window of the namespace is closed. Each ends by itself if nobody renews it.
CREATE TABLE import_leases (
    namespace_id integer NOT NULL,
    name text NOT NULL,
    actor text NOT NULL,
    until timestamptz NOT NULL,
    PRIMARY KEY (namespace_id, name)
);
