-- Leaves a sealed window to its archive: from here on its boards are read there, at the versions given.
--
-- KEYS     namespace, then every key of the window's boards
-- ARGV     window, then for each board: its name, its version
-- Reply    1 done, 0 refused: the window is not sealed here
-- Effects  the boards are gone, the window is marked archived, versions only rise

local space_key, window = KEYS[1], ARGV[1]

if not redis.call('HGET', space_key, 'x:' .. window) then
  return 0
end
for i = 2, #ARGV, 2 do
  local field, version = 'v:' .. ARGV[i], ARGV[i + 1]
  if tonumber(version) > tonumber(redis.call('HGET', space_key, field) or '0') then
    redis.call('HSET', space_key, field, version)
  end
end
redis.call('HSET', space_key, 'x:' .. window, 'a')
for i = 2, #KEYS do
  redis.call('UNLINK', KEYS[i])
end
return 1
