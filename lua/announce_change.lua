-- Tells partitions of the latest changes: all processes that read their metas drop what their caches have of older state.
--
-- KEYS     of each partition: meta, the latest changes
-- ARGV     the field of the number in meta; the number of the last of these changes; how many of the latest ones are kept; then
--          the names of what changed, in order, one number each. Without a name anything may have changed, and no name of
--          earlier changes stays
-- Reply    the greatest number of theirs before: that of another announcement where it is greater than this one's
-- Effects  each meta: the number, unless a greater one is there; `<field>:<number modulo how many>` of the latest changes:
--          "<number> <name>". Also while Redis is full: a deleted namespace and a revoked key must leave all caches
--
--- @include "include/memory"

local field, last, changes_max = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])

-- Tells one partition. Its number before.
local function announce(meta_key, changes_key)
  local before = tonumber(redis.call('HGET', meta_key, field) or '0')
  if #ARGV < 4 then
    redis.call('DEL', changes_key)
  end
  for i = 4, #ARGV do
    local number = last - #ARGV + i
    if number > before - changes_max then
      redis.call('HSET', changes_key, field .. ':' .. number % changes_max, string.format('%d', number) .. ' ' .. ARGV[i])
    end
  end
  if last > before then
    redis.call('HSET', meta_key, field, string.format('%d', last))
  end
  return before
end

memory.allow_writes(KEYS[1])
local greatest = 0
for i = 1, #KEYS, 2 do
  greatest = math.max(greatest, announce(KEYS[i], KEYS[i + 1]))
end
return greatest
