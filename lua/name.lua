-- Writes a user's profile, or takes it away, and tells in the same step that it changed and whose it is: what is written
-- is never without its count, whatever breaks off.
--
-- KEYS     a hash: user → profile; the hash with the counter, which may be the same
-- ARGV     user, value ("<version> <text>"; empty: take it away), the counter's field, how many of the latest changes
--          are kept
-- Reply    the counter
-- Effects  the user's field, unless a later version stands there; as bump.lua else; also while Redis is full, but for a
--          user who had none
--
--- @include "include/room"

local key, user, value = KEYS[1], ARGV[1], ARGV[2]
if value == '' then
  redis.call('HDEL', key, user)
else
  local held = redis.call('HGET', key, user)
  if held then
    make_room(key)
  end
  if not held or tonumber(string.match(held, '^%d+')) <= tonumber(string.match(value, '^%d+')) then
    redis.call('HSET', key, user, value)
  end
end
local counter = redis.call('HINCRBY', KEYS[2], ARGV[3], 1)
local text = string.format('%d', counter)
redis.call('HSET', KEYS[2], ARGV[3] .. ':' .. counter % tonumber(ARGV[4]), text .. ' ' .. user)
return counter
