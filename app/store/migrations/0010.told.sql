-- depends: 0005.events

-- Which seasons were told to have begun.
CREATE TABLE seasons_opened (
    namespace_id integer NOT NULL,
    season text NOT NULL,
    PRIMARY KEY (namespace_id, season)
);
CREATE INDEX namespaces_seasons ON namespaces (partition) WHERE rules -> 'seasons' <> '[]' AND deleted_at IS NULL;
