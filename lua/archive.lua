-- Leaves a sealed window to its archive: from here on its boards are read there, at the versions given.
--
-- KEYS     namespace, every key of the window's boards, balances of users who are off them
-- ARGV     window, how many keys the boards have, then for each board: its name, its version (0: as it is)
-- Reply    1 done, 0 refused: the window is not sealed here
-- Effects  the boards are gone with their sums, and the scores kept for those who are off them; the window is marked
--          archived; versions only rise
--
--- @include "include/room"

local space_key, window, boards = KEYS[1], ARGV[1], tonumber(ARGV[2])

if not redis.call('HGET', space_key, 'x:' .. window) then
  return 0
end
make_room(space_key)
local kept, sums = {}, {}
for i = 3, #ARGV, 2 do
  local field, version = 'v:' .. ARGV[i], ARGV[i + 1]
  if tonumber(version) > tonumber(redis.call('HGET', space_key, field) or '0') then
    redis.call('HSET', space_key, field, version)
  end
  kept[#kept + 1], sums[#sums + 1] = 'h:' .. ARGV[i], 't:' .. ARGV[i]
end
if sums[1] then
  redis.call('HDEL', space_key, unpack(sums))
end
redis.call('HSET', space_key, 'x:' .. window, 'a')
for i = 2, 1 + boards do
  redis.call('UNLINK', KEYS[i])
end
for i = 2 + boards, #KEYS do
  redis.call('HDEL', KEYS[i], unpack(kept))
end
return 1
