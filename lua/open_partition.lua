-- Opens a partition behind a rebuild: its log goes on behind the ledger's last entry, in a new epoch.
--
-- KEYS     meta, log, hidden users of the deployment
-- ARGV     the progress that meta must tell; the new epoch; epoch, seq and digest of the ledger's last entry (seq 0: none); digest
--          and body of the entry that the new epoch begins with; a moment (µs) that no entry lies behind; format; generation
--          of dedup that begins now (0: log and dedup were whole and stay); whether what servers remember of it is settled
--          (0|1), because what it held is set aside; since when (µs) the generation has every id (0: the beginning)
-- Reply    {'ok', seq}; {'moved', progress} where meta tells another one, and nothing is written
-- Effects  a log that was not whole becomes the ledger's last entry, without its body, and the new one. Meta: the head, the mark
--          of hidden users; why it was closed and the progress go
--
--- @include "include/fields"
--- @include "include/replies"

local call, format, sub = redis.call, string.format, string.sub
local meta_key, log_key, hidden_key = KEYS[1], KEYS[2], KEYS[3]
local before, epoch, last_epoch, last_seq, last_digest = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4]), ARGV[5]
local digest, body, moment, layout, generation = ARGV[6], ARGV[7], tonumber(ARGV[8]), ARGV[9], ARGV[10]
local is_settled, complete_since = ARGV[11] == '1', ARGV[12]

-- Forgets the dedup generations that meta names.
local function forget_generations()
  for _, name in ipairs(call('HKEYS', meta_key)) do
    if sub(name, 1, #fields.COMPLETE_SINCE) == fields.COMPLETE_SINCE or sub(name, 1, #fields.BEGINS_AFTER) == fields.BEGINS_AFTER then
      call('HDEL', meta_key, name)
    end
  end
end

local progress = call('HGET', meta_key, fields.PROGRESS) or ''
if progress ~= before then
  return { 'moved', progress }
end
local time, seq = call('TIME'), last_seq + 1
local now = math.max(tonumber(time[1]) * 1000000 + tonumber(time[2]), moment,
  replies.integer(call('HGET', meta_key, fields.CLOCK), 0))
call('HSET', meta_key, fields.SEQ, seq, fields.CLOCK, now, fields.FORMAT, layout)
if generation ~= '0' then
  call('DEL', log_key)
  if last_seq > 0 then
    call('XADD', log_key, last_epoch .. '-' .. format('%d', last_seq), 'd', last_digest, 'e', '', 'r', '')
  end
  forget_generations()
  call('HSET', meta_key, fields.FLUSHED, last_epoch .. '-' .. format('%d', last_seq), fields.GENERATIONS, generation,
    fields.COMPLETE_SINCE .. generation, complete_since, fields.BEGINS_AFTER .. generation, last_seq, fields.NEWEST_BEGAN, now)
end
call('XADD', log_key, format('%d-%d', epoch, seq), 'd', digest, 'e', body, 'r', format('%d  ', now))
if call('HLEN', hidden_key) > 0 then
  call('HSET', meta_key, fields.HAS_HIDDEN, 1)
end
call('HSET', meta_key, fields.EPOCH, epoch, fields.EPOCH_BEGINS_AFTER, last_seq, fields.REBUILT, seq)
if is_settled then
  -- This tells a server that remembers an earlier loss that this loss is settled.
  call('HSET', meta_key, fields.RECOVERED, epoch)
end
call('HDEL', meta_key, fields.CLOSED, fields.PROGRESS)
return { 'ok', seq }
