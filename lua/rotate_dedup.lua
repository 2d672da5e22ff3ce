-- Begins a new dedup generation when the newest is old or full, and deletes the oldest once nothing needs it.
--
-- KEYS     meta, the newest dedup generation, the oldest one
-- ARGV     epoch, generations as the caller knows them, age (µs) and number of ids that end a generation
-- Reply    1 rotated; 0 not yet, or no longer as the caller knows it
-- Effects  meta: the generations, newest first; for each the time since when it has every id (0: the beginning) and the seq before
--          its first entry; when the newest began. Of three generations the oldest is deleted once the ledger has all of it
--
--- @include "include/fields"
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
-- The clock of entries never goes back. A generation that began before it would seem to know older ids.
local now = math.max(head.clock, tonumber(time[1]) * 1000000 + tonumber(time[2]))
local list = {}
for generation in string.gmatch(generations, '%d+') do
  list[#list + 1] = generation
end
local newest, oldest = list[1], list[#list]
local began = tonumber(call('HGET', meta_key, fields.NEWEST_BEGAN))
if now - began >= age or call('HLEN', newest_key) >= count then
  local fresh = format('%d', tonumber(newest) + 1)
  call('HSET', meta_key, fields.NEWEST_BEGAN, now, fields.COMPLETE_SINCE .. fresh, now, fields.BEGINS_AFTER .. fresh, head.seq)
  table.insert(list, 1, fresh)
end
if #list >= 3 then
  local last_seq = tonumber(call('HGET', meta_key, fields.BEGINS_AFTER .. list[#list - 1]))
  if last_seq <= head.flushed_seq then -- seq goes on across epochs
    call('HDEL', meta_key, fields.COMPLETE_SINCE .. oldest, fields.BEGINS_AFTER .. oldest)
    call('DEL', oldest_key)
    table.remove(list)
  end
end
local rotated = table.concat(list, ',')
if rotated == generations then
  return 0
end
call('HSET', meta_key, fields.GENERATIONS, rotated)
return 1
