-- Raises a counter by one, so that every process that reads it empties its caches.
--
-- KEYS     a hash
-- ARGV     field
-- Reply    the counter
-- Effects  the field; also while Redis is full: a deleted namespace and a revoked key must not stay in a cache
--
--- @include "include/room"

make_room(KEYS[1])
return redis.call('HINCRBY', KEYS[1], ARGV[1], 1)
