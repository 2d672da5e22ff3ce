-- Reads when the scores of many users of a namespace changed last, and on which days they have live grants.
--
-- KEYS     meta, balances of each user; then days of each user, where days are requested
-- ARGV     whether days are asked for (0|1)
-- Reply    {{changed at (µs) | false, stretch, its days (include/days), …}, …}: one for each user, in order. {'unopened'} where
--          meta is lost
-- Effects  none
--
--- @include "include/fields"

local has_days = ARGV[1] == '1'
local count = has_days and (#KEYS - 1) / 2 or #KEYS - 1

if not redis.call('HGET', KEYS[1], fields.EPOCH) then
  return { 'unopened' }
end
local reply = {}
for i = 1, count do
  local row = has_days and redis.call('HGETALL', KEYS[1 + count + i]) or {}
  table.insert(row, 1, redis.call('HGET', KEYS[1 + i], fields.CHANGED_AT))
  reply[i] = row
end
return reply
