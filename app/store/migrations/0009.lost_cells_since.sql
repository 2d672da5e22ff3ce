-- depends: 0008.webhooks

-- The last seq of the gap in which the cells were lost: from there on they count, so the board of a window that was closed
-- behind the gap has them, too. Null where an earlier release recorded them: there they count from the row's own seq on.
ALTER TABLE lost_cells ADD COLUMN since_seq bigint;
