-- Has a partition know nothing of a user, unless another version stands there.
--
-- KEYS     hidden users (of the deployment, or of a namespace), meta; of a namespace also its hash
-- ARGV     user, version
-- Reply    1 removed, 0 there is none or another one
-- Effects  the user's field; `veils` in meta, or `#h` in the namespace's hash, goes with the last of them; `unveiled` in
--          meta is the latest version that ever went

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
  if KEYS[3] then
    redis.call('HDEL', KEYS[3], '#h')
  else
    redis.call('HDEL', meta_key, 'veils')
  end
end
return 1
