-- Sets what a partition knows of a user who is off the boards, unless a later version stands there.
--
-- KEYS     hidden users (of the deployment, or of a namespace), meta; of a namespace also its hash
-- ARGV     user, version, state, whether the caller has just read that it is wished (0|1)
-- Reply    1 set, 0 a later one stood there, -1 it may have been one that is gone: of whoever is not sure it is not taken
-- Effects  the user's field; `veils` in meta, or `#h` in the namespace's hash, without which apply.lua looks at no field:
--          not where meta was lost

local hidden_key, meta_key, user, version, state, sure = KEYS[1], KEYS[2], ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
local held = redis.call('HGET', hidden_key, user)
if held and tonumber(string.match(held, '^%d+')) > version then
  return 0
end
if not held and sure ~= '1' and version <= tonumber(redis.call('HGET', meta_key, 'unveiled') or '0') then
  return -1
end
redis.call('HSET', hidden_key, user, ARGV[2] .. ' ' .. state)
if redis.call('HEXISTS', meta_key, 'epoch') == 1 then
  if KEYS[3] then
    redis.call('HSET', KEYS[3], '#h', 1)
  else
    redis.call('HSET', meta_key, 'veils', 1)
  end
end
return 1
