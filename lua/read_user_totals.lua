-- Reads what many users of a namespace have, up to a number of fields.
--
-- KEYS     meta, balances of each user
-- ARGV     how many fields may be read; the first user's are read, however many there are
-- Reply    {{field, value, …}, …}: total, count, last, `c:…` and `s:…` of each user, in order, of as many users as fit;
--          {'unopened'} where meta is gone
-- Effects  none

local shown = { total = true, count = true, last = true }

if not redis.call('HGET', KEYS[1], 'epoch') then
  return { 'unopened' }
end
local reply, left = {}, tonumber(ARGV[1])
for i = 2, #KEYS do
  left = left - redis.call('HLEN', KEYS[i])
  if left < 0 and i > 2 then
    break
  end
  local held, told, n = redis.call('HGETALL', KEYS[i]), {}, 0
  for k = 1, #held, 2 do
    local kind = string.sub(held[k], 1, 2)
    if kind == 'c:' or kind == 's:' or shown[held[k]] then
      told[n + 1], told[n + 2], n = held[k], held[k + 1], n + 2
    end
  end
  reply[i - 1] = told
end
return reply
