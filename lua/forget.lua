-- Removes a field whose value begins with a version, unless another version stands there.
--
-- KEYS     a hash
-- ARGV     field, version
-- Reply    1 removed, 0 there is none or another one
-- Effects  the field

local key, field, version = KEYS[1], ARGV[1], ARGV[2]
local held = redis.call('HGET', key, field)
if held and string.match(held, '^%d+') == version then
  return redis.call('HDEL', key, field)
end
return 0
