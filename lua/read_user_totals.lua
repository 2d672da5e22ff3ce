-- Reads the balances of many users of a namespace, up to a number of fields.
--
-- KEYS     meta, balances of each user
-- ARGV     how many fields may be read; the first user is always read
-- Reply    {{field, value, …}, …}: total, count, last, and the balance of each category and source; of as many users, in order, as
--          fit. {'unopened'} where meta is lost
-- Effects  none
--
--- @include "include/fields"

local is_balance = { [fields.TOTAL] = true, [fields.COUNT] = true, [fields.LAST] = true }
local is_label = { [fields.CATEGORY] = true, [fields.SOURCE] = true }

if not redis.call('HGET', KEYS[1], fields.EPOCH) then
  return { 'unopened' }
end
local reply, left = {}, tonumber(ARGV[1])
for i = 2, #KEYS do
  left = left - redis.call('HLEN', KEYS[i])
  if left < 0 and i > 2 then
    break
  end
  local pairs_of_fields, row, n = redis.call('HGETALL', KEYS[i]), {}, 0
  for k = 1, #pairs_of_fields, 2 do
    local field = pairs_of_fields[k]
    if is_label[string.sub(field, 1, 2)] or is_balance[field] then
      row[n + 1], row[n + 2], n = field, pairs_of_fields[k + 1], n + 2
    end
  end
  reply[i - 1] = row
end
return reply
