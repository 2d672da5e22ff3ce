-- Has a partition know nothing of a user, unless another version stands there.
--
-- KEYS     hidden users, meta
-- ARGV     user, version
-- Reply    1 removed, 0 there is none or another one
-- Effects  the user's field; `veils` in meta goes with the last of them; `unveiled` is the latest version that ever went

local hidden_key, meta_key, user, version = KEYS[1], KEYS[2], ARGV[1], ARGV[2]
local held = redis.call('HGET', hidden_key, user)
if not held or string.match(held, '^%d+') ~= version then
  return 0
end
redis.call('HDEL', hidden_key, user)
if tonumber(redis.call('HGET', meta_key, 'unveiled') or '0') < tonumber(version) then
  redis.call('HSET', meta_key, 'unveiled', version)
end
if redis.call('HLEN', hidden_key) == 0 then
  redis.call('HDEL', meta_key, 'veils')
end
return 1
