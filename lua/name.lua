-- Writes a user's profile, or takes it away, and tells in the same step that it changed and whose it is: what is written
-- is never without its count, whatever breaks off. What is taken away is told without a name, and no earlier change
-- names the user any more.
--
-- KEYS     a hash: user → profile; the hash with the counter, which may be the same
-- ARGV     user, value ("<version> <text>"; empty: take it away), the counter's field, how many of the latest changes
--          are kept
-- Reply    the counter
-- Effects  the user's field, unless a later version stands there; as bump.lua else; also while Redis is full, but for a
--          user who had none
--
--- @include "include/room"

local key, counted_in, user, value, field, kept = KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
if value == '' then
  redis.call('HDEL', key, user)
  local places = {}
  for i = 1, kept do
    places[i] = field .. ':' .. i - 1
  end
  for i, told in ipairs(redis.call('HMGET', counted_in, unpack(places))) do
    if told and string.match(told, '^%d+ (.*)$') == user then
      redis.call('HDEL', counted_in, places[i])
    end
  end
  return redis.call('HINCRBY', counted_in, field, 1)
end
local held = redis.call('HGET', key, user)
if held then
  make_room(key)
end
if not held or tonumber(string.match(held, '^%d+')) <= tonumber(string.match(value, '^%d+')) then
  redis.call('HSET', key, user, value)
end
local counter = redis.call('HINCRBY', counted_in, field, 1)
local text = string.format('%d', counter)
redis.call('HSET', counted_in, field .. ':' .. counter % kept, text .. ' ' .. user)
return counter
