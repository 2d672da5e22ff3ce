-- Begins a new seen generation when the newest is old or full, and drops the oldest once nothing needs it.
--
-- KEYS     meta, seen of the newest, seen of the oldest generation
-- ARGV     epoch, generations as the caller knows them, age (µs) and count that end a generation
-- Reply    1 rotated, 0 not yet or no longer as the caller knows it
-- Effects  meta: generations (newest first), `g:<n>` from when each knows every id (0: since ever), `s:<n>` the seq
--          before its first, `began` when the newest did; of three the oldest is dropped once it is wholly flushed
--
--- @include "include/memory"
--- @include "include/partition_head"

local call, format = redis.call, string.format
local meta_key, newest_key, oldest_key = KEYS[1], KEYS[2], KEYS[3]
local epoch, generations, age, count = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

local head = partition_head.read(meta_key)
if not head or format('%d', head.epoch) ~= epoch or head.generations ~= generations then
  return 0
end
memory.allow_writes(meta_key)
local time = call('TIME')
-- The clock of entries never goes back: a generation that began by a clock behind it would seem to know older ids.
local now = math.max(head.at, tonumber(time[1]) * 1000000 + tonumber(time[2]))
local list = {}
for generation in string.gmatch(generations, '%d+') do
  list[#list + 1] = generation
end
local newest, oldest = list[1], list[#list]
local began = tonumber(call('HGET', meta_key, 'began'))
if now - began >= age or call('HLEN', newest_key) >= count then
  local fresh = format('%d', tonumber(newest) + 1)
  call('HSET', meta_key, 'began', now, 'g:' .. fresh, now, 's:' .. fresh, head.seq)
  table.insert(list, 1, fresh)
end
if #list >= 3 then
  local ended_seq = tonumber(call('HGET', meta_key, 's:' .. list[#list - 1]))
  if not partition_head.is_after(head.epoch, ended_seq, head.flushed_epoch, head.flushed_seq) then
    call('HDEL', meta_key, 'g:' .. oldest, 's:' .. oldest)
    call('DEL', oldest_key)
    table.remove(list)
  end
end
local now_kept = table.concat(list, ',')
if now_kept == generations then
  return 0
end
call('HSET', meta_key, 'generations', now_kept)
return 1
