-- Raises a counter by one, so that every process that reads it drops what is old in its caches.
--
-- KEYS     a hash
-- ARGV     field, then where it may be told what changed: how many of the latest changes are kept, its name
-- Reply    the counter
-- Effects  the field, and `<field>:<counter modulo how many>`: "<counter> <name>"; also while Redis is full: a deleted
--          namespace and a revoked key must not stay in a cache
--
--- @include "include/memory"

memory.allow_writes(KEYS[1])
local counter = redis.call('HINCRBY', KEYS[1], ARGV[1], 1)
if ARGV[2] then
  local text = string.format('%d', counter)
  redis.call('HSET', KEYS[1], ARGV[1] .. ':' .. counter % tonumber(ARGV[2]), text .. ' ' .. ARGV[3])
end
return counter
