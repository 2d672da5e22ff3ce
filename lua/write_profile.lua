-- Writes a user's profile, or takes it away, and tells in the same step that it changed and whose it is: what is written
-- is never without its count, whatever breaks off. What is taken away is told without a name, and no earlier change
-- names the user any more.
--
-- KEYS     a hash: user → profile; the hash with the counter, which may be the same
-- ARGV     user, value ("<version> <text>"; empty: take it away), the counter's field, how many of the latest changes
--          are kept, a version: where it is taken away, one that no profile of the user has passed; else the latest such
--          one that the caller knew before it read the profile
-- Reply    the counter; -1 nothing was written: the user has no profile here, and the caller may have read it before the
--          user was erased
-- Effects  the user's field, unless a later version stands there; `<the counter's field>:erased`, the latest version with
--          which a name was taken away; as bump.lua else; also while Redis is full, but for a
--          user who had none
--
--- @include "include/memory"

local key, counted_in, user, value, field, kept = KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local version, erased = tonumber(ARGV[5]), tonumber(redis.call('HGET', counted_in, field .. ':erased') or '0')
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
  redis.call('HSET', counted_in, field .. ':erased', string.format('%d', math.max(version, erased)))
  return redis.call('HINCRBY', counted_in, field, 1)
end
local held = redis.call('HGET', key, user)
if not held and erased > version and tonumber(string.match(value, '^%d+')) <= erased then
  return -1
end
if held then
  memory.allow_writes(key)
end
if not held or tonumber(string.match(held, '^%d+')) <= tonumber(string.match(value, '^%d+')) then
  redis.call('HSET', key, user, value)
end
local counter = redis.call('HINCRBY', counted_in, field, 1)
local text = string.format('%d', counter)
redis.call('HSET', counted_in, field .. ':' .. counter % kept, text .. ' ' .. user)
return counter
