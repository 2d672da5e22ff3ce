-- Publishes an API key, unless it is revoked there, or a later secret of it is there.
--
-- KEYS     the hash of API keys
-- ARGV     id, record ("1 <JSON>", with the field secret_version)
-- Reply    1 set; 0 the key is revoked, or a later secret is there
-- Effects  the field. An existing one is replaced even while Redis is full: an old secret must not stay good
--
--- @include "include/memory"

local key, field, record = KEYS[1], ARGV[1], ARGV[2]

-- A record of an earlier release has no such field. Nothing before it in the text can look like it.
local function secret_version(text)
  return tonumber(string.match(text, '"secret_version":(%d+)') or 0)
end

local stored = redis.call('HGET', key, field)
if stored then
  local is_revoked = tonumber(string.match(stored, '^%d+')) > 1
  if is_revoked or secret_version(stored) > secret_version(record) then
    return 0
  end
  memory.allow_writes(key)
end
redis.call('HSET', key, field, record)
return 1
