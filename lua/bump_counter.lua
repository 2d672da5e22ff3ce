-- Raises a counter by one, so that all processes that read it drop what their caches have of older state.
--
-- KEYS     a hash
-- ARGV     the counter's field; then, to say what changed: how many of the latest changes are kept, and the name of what changed
-- Reply    the counter
-- Effects  the field, and `<field>:<counter modulo how many>`: "<counter> <name>". Also while Redis is full: a deleted
--          namespace and a revoked key must leave all caches
--
--- @include "include/memory"

memory.allow_writes(KEYS[1])
local counter = redis.call('HINCRBY', KEYS[1], ARGV[1], 1)
if ARGV[2] then
  local text = string.format('%d', counter)
  redis.call('HSET', KEYS[1], ARGV[1] .. ':' .. counter % tonumber(ARGV[2]), text .. ' ' .. ARGV[3])
end
return counter
