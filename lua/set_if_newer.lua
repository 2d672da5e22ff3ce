-- Sets a field whose value begins with a version, unless a later version stands there.
--
-- KEYS     a hash
-- ARGV     field, value ("<version>" or "<version> <text>")
-- Reply    1 set, 0 a later one stood there
-- Effects  the field; one that is there is replaced even while Redis is full: a deletion frees memory
--
--- @include "include/memory"

local key, field, value = KEYS[1], ARGV[1], ARGV[2]
local held = redis.call('HGET', key, field)
if held and tonumber(string.match(held, '^%d+')) > tonumber(string.match(value, '^%d+')) then
  return 0
end
if held then
  memory.allow_writes(key)
end
redis.call('HSET', key, field, value)
return 1
