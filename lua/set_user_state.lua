-- Sets a user's state (include/visibility) in a partition, unless a later version is there.
--
-- KEYS     hidden users of the deployment or of a namespace, meta; for a namespace also its hash
-- ARGV     user, version, state, whether the caller has just read the intent (0|1)
-- Reply    1 set; 0 a later version is there; -1 a version as late was removed, so this one may be out of date: the caller
--          reads the intent and calls again
-- Effects  the user's field; `has_hidden` in meta, or the mark in the namespace's hash, without which apply.lua reads no
--          states. Not where meta is lost
--
--- @include "include/fields"

local hidden_key, meta_key, namespace_key = KEYS[1], KEYS[2], KEYS[3]
local user, version, state, is_fresh = ARGV[1], ARGV[2], ARGV[3], ARGV[4] == '1'

local stored = redis.call('HGET', hidden_key, user)
if stored and tonumber(string.match(stored, '^%d+')) > tonumber(version) then
  return 0
end
local cleared = tonumber(redis.call('HGET', meta_key, fields.CLEARED_VERSION) or '0')
if not stored and not is_fresh and tonumber(version) <= cleared then
  return -1
end
redis.call('HSET', hidden_key, user, version .. ' ' .. state)
if redis.call('HEXISTS', meta_key, fields.EPOCH) == 1 then
  if namespace_key then
    redis.call('HSET', namespace_key, fields.HIDDEN_MARK, 1)
  else
    redis.call('HSET', meta_key, fields.HAS_HIDDEN, 1)
  end
end
return 1
