-- Writes or deletes a user's profile, and in the same step counts the change and records whose it is: a profile never changes
-- without its count. A deletion is counted without a name, and the name leaves the record of earlier changes too.
--
-- KEYS     a hash: user -> profile
-- ARGV     user, value ("<version> <text>"; empty: delete), the counter's field, how many of the latest changes are recorded, a
--          version. For a deletion the version is one that no profile of the user is later than; else it is the latest such
--          version that the caller knew before it read the profile
-- Reply    the counter; -1 nothing was written: the user has no profile here, and the caller may have read it before the user
--          was erased
-- Effects  the user's field, unless a later version is there; `<the counter's field>:erased`, the latest version of a deletion;
--          the counter, and `<the counter's field>:<counter modulo how many>`: "<counter> <user>". Also while Redis is full, but
--          not for a user without a profile
--
--- @include "include/memory"

local key, user, value, field, changes_max = KEYS[1], ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local version, erased = tonumber(ARGV[5]), tonumber(redis.call('HGET', key, field .. ':erased') or '0')

-- Deletes the user's name from the record of changes.
local function delete_changes()
  local changes = {}
  for i = 1, changes_max do
    changes[i] = field .. ':' .. i - 1
  end
  for i, change in ipairs(changes_max > 0 and redis.call('HMGET', key, unpack(changes)) or {}) do
    if change and string.match(change, '^%d+ (.*)$') == user then
      redis.call('HDEL', key, changes[i])
    end
  end
end

if value == '' then
  redis.call('HDEL', key, user)
  delete_changes()
  redis.call('HSET', key, field .. ':erased', string.format('%d', math.max(version, erased)))
  return redis.call('HINCRBY', key, field, 1)
end
local stored, new_version = redis.call('HGET', key, user), tonumber(string.match(value, '^%d+'))
if not stored and erased > version and new_version <= erased then
  return -1
end
if stored then
  memory.allow_writes(key)
end
if not stored or tonumber(string.match(stored, '^%d+')) <= new_version then
  redis.call('HSET', key, user, value)
end
local counter = redis.call('HINCRBY', key, field, 1)
if changes_max > 0 then
  redis.call('HSET', key, field .. ':' .. counter % changes_max, string.format('%d', counter) .. ' ' .. user)
end
return counter
