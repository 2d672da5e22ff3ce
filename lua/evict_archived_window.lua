-- Removes a sealed window that is archived: from here on its boards are read from the archive, at one version.
--
-- KEYS     namespace, all keys of the window's boards, balances of users who are hidden on them
-- ARGV     window, number of the boards' keys; then for each board its name and its version (0: as it is)
-- Reply    1 done; 0 refused: the window is not sealed here
-- Effects  the boards, their versions and totals, and hidden users' scores on them are deleted. The window becomes archived,
--          `a <version>`: the highest version of its boards. It only rises, and each new revision of the archive raises it,
--          also where a heal had given the sealed board a later seq. The namespace counts that many boards less
--
--- @include "include/fields"
--- @include "include/memory"

local namespace_key, window, key_count = KEYS[1], ARGV[1], tonumber(ARGV[2])

local state = redis.call('HGET', namespace_key, fields.WINDOW_STATE .. window)
if not state then
  return 0
end
local version, given = tonumber(string.match(state, '^a (%d+)$') or '0'), 0
local versions, totals, hidden_scores = { fields.BOARD_VERSION .. window }, {}, {}
for i = 3, #ARGV, 2 do
  versions[#versions + 1], totals[#totals + 1] = fields.BOARD_VERSION .. ARGV[i], fields.BOARD_TOTALS .. ARGV[i]
  hidden_scores[#hidden_scores + 1] = fields.HIDDEN_SCORE .. ARGV[i]
  given = math.max(given, tonumber(ARGV[i + 1]))
end
for _, stored in ipairs(redis.call('HMGET', namespace_key, unpack(versions))) do
  version = math.max(version, stored and tonumber(stored) or 0)
end
if given > 0 then
  version = given > version and given or version + 1
end
memory.allow_writes(namespace_key)
redis.call('HSET', namespace_key, fields.WINDOW_STATE .. window, string.format('a %d', version))
local deleted = redis.call('HDEL', namespace_key, unpack(versions))
local count = redis.call('HGET', namespace_key, fields.BOARD_COUNT)
if count then
  redis.call('HSET', namespace_key, fields.BOARD_COUNT, math.max(0, tonumber(count) - deleted))
end
if totals[1] then
  redis.call('HDEL', namespace_key, unpack(totals))
end
for i = 2, 1 + key_count do
  redis.call('UNLINK', KEYS[i])
end
for i = 2 + key_count, #KEYS do
  redis.call('HDEL', KEYS[i], unpack(hidden_scores))
end
return 1
