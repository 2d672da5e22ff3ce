-- Sets a field whose value begins with a version, unless a later version is there.
--
-- KEYS     a hash
-- ARGV     field, value ("<version>" or "<version> <text>")
-- Reply    1 set; 0 a later version is there
-- Effects  the field. An existing one is replaced even while Redis is full: a deletion frees memory
--
--- @include "include/memory"

local key, field, value = KEYS[1], ARGV[1], ARGV[2]

local stored = redis.call('HGET', key, field)
if stored and tonumber(string.match(stored, '^%d+')) > tonumber(string.match(value, '^%d+')) then
  return 0
end
if stored then
  memory.allow_writes(key)
end
redis.call('HSET', key, field, value)
return 1
