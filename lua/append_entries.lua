-- Appends entries to the log of a partition that is closed, without moving anything: what Redis has is recorded.
--
-- KEYS     meta, log
-- ARGV     the progress that meta must tell; the seq behind which they come; their epoch; then for each: digest, body, and the
--          user's score on the `all` board behind it and before it (empty: not on the board)
-- Reply    {'ok', seq of the last one}; {'moved', seq} where meta tells another progress or seq, and nothing is written
-- Effects  the entries; meta: seq, clock, and the epoch with the seq behind which it begins
--
--- @include "include/fields"
--- @include "include/replies"

local call, format = redis.call, string.format
local meta_key, log_key = KEYS[1], KEYS[2]
local progress, seq, epoch = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local FIXED_ARGS = 3

local values = call('HMGET', meta_key, fields.PROGRESS, fields.SEQ, fields.EPOCH, fields.CLOCK)
if values[1] ~= progress or values[2] ~= ARGV[2] then
  return { 'moved', values[2] or '' }
end
local time = call('TIME')
local now = math.max(tonumber(time[1]) * 1000000 + tonumber(time[2]), replies.integer(values[4], 0))
if values[3] ~= ARGV[3] then
  call('HSET', meta_key, fields.EPOCH, epoch, fields.EPOCH_BEGINS_AFTER, seq)
end
for i = FIXED_ARGS + 1, #ARGV, 4 do
  seq = seq + 1
  call('XADD', log_key, format('%d-%d', epoch, seq), 'd', ARGV[i], 'e', ARGV[i + 1], 'r',
    format('%d %s %s', now, ARGV[i + 2], ARGV[i + 3]))
end
call('HSET', meta_key, fields.SEQ, format('%d', seq), fields.CLOCK, format('%d', now))
return { 'ok', seq }
