-- Removes a user's state (include/visibility) from a partition, unless a later version is there.
--
-- KEYS     hidden users of the deployment or of a namespace, meta; for a namespace also its hash
-- ARGV     user, version
-- Reply    1 removed; 0 there is none, or another version
-- Effects  the user's field. With the last user go `has_hidden` in meta, or the mark in the namespace's hash. Meta keeps the
--          latest version that was ever removed
--
--- @include "include/fields"

local hidden_key, meta_key, namespace_key, user, version = KEYS[1], KEYS[2], KEYS[3], ARGV[1], ARGV[2]

local state = redis.call('HGET', hidden_key, user)
if not state or string.match(state, '^%d+') ~= version then
  return 0
end
redis.call('HDEL', hidden_key, user)
if tonumber(redis.call('HGET', meta_key, fields.CLEARED_VERSION) or '0') < tonumber(version) then
  redis.call('HSET', meta_key, fields.CLEARED_VERSION, version)
end
if redis.call('HLEN', hidden_key) == 0 then
  if namespace_key then
    redis.call('HDEL', namespace_key, fields.HIDDEN_MARK)
  else
    redis.call('HDEL', meta_key, fields.HAS_HIDDEN)
  end
end
return 1
