-- Sets what a partition knows of a user who is off the boards, unless a later version stands there.
--
-- KEYS     hidden users, meta
-- ARGV     user, version, state
-- Reply    1 set, 0 a later one stood there
-- Effects  the user's field; `veils` in meta, without which apply.lua looks at no field: not in one that was lost

local hidden_key, meta_key, user, version, state = KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3]
local held = redis.call('HGET', hidden_key, user)
if redis.call('HEXISTS', meta_key, 'epoch') == 1 then
  redis.call('HSET', meta_key, 'veils', 1)
end
if held and tonumber(string.match(held, '^%d+')) > tonumber(version) then
  return 0
end
redis.call('HSET', hidden_key, user, version .. ' ' .. state)
return 1
