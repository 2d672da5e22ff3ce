-- Leaves a sealed window to its archive: from here on its boards are read there, at one version.
--
-- KEYS     namespace, every key of the window's boards, balances of users who are off them
-- ARGV     window, how many keys the boards have, then for each board: its name, its version (0: as it is)
-- Reply    1 done, 0 refused: the window is not sealed here
-- Effects  the boards are gone with their versions and sums, and the scores kept for those who are off them; the window is
--          marked archived (`x:<window>`: `a <version>`), at the highest version that one of its boards had; it only
--          rises, and by each revision, also where a heal of the sealed board had a later seq than what the revision adds;
--          the namespace has so many open boards (`#b`) fewer
--
--- @include "include/memory"

local namespace_key, window, boards = KEYS[1], ARGV[1], tonumber(ARGV[2])

local closed = redis.call('HGET', namespace_key, 'x:' .. window)
if not closed then
  return 0
end
local version = tonumber(string.match(closed, '^a (%d+)$') or '0')
local told, versions, sums, kept = 0, { 'v:' .. window }, {}, {}
for i = 3, #ARGV, 2 do
  versions[#versions + 1], sums[#sums + 1], kept[#kept + 1] = 'v:' .. ARGV[i], 't:' .. ARGV[i], 'h:' .. ARGV[i]
  told = math.max(told, tonumber(ARGV[i + 1]))
end
for _, held in ipairs(redis.call('HMGET', namespace_key, unpack(versions))) do
  version = math.max(version, held and tonumber(held) or 0)
end
if told > 0 then
  version = told > version and told or version + 1
end
memory.allow_writes(namespace_key)
redis.call('HSET', namespace_key, 'x:' .. window, string.format('a %d', version))
local gone, open = redis.call('HDEL', namespace_key, unpack(versions)), redis.call('HGET', namespace_key, '#b')
if open then
  redis.call('HSET', namespace_key, '#b', math.max(0, tonumber(open) - gone))
end
if sums[1] then
  redis.call('HDEL', namespace_key, unpack(sums))
end
for i = 2, 1 + boards do
  redis.call('UNLINK', KEYS[i])
end
for i = 2 + boards, #KEYS do
  redis.call('HDEL', KEYS[i], unpack(kept))
end
return 1
