-- The one write path: applies a batch of entries to one partition, all of it at once, or refuses it whole.
--
-- KEYS     log, meta, rules, hidden users, seen generations (newest first), namespaces (each followed by its own hidden
--          users), boards (each followed by its order, its scores, its sums and its times where its namespace keeps
--          them), users (each their balances, followed by their days where users have some)
-- ARGV     epoch, generations, known id, its digest, resend-after seq (-1: no resend), atomic (0|1), most
--          entries that the ledger may lack; most users, most open boards and most entries in the log that a namespace
--          may have (0: no bound); counts of generations, boards, users, namespaces, targets, shapes and
--          entries; whether users have days (0|1); then the parts as include/batch_arguments reads them
-- Reply    {'ok', code, epoch, seq, score, previous score | detail, …}: five an entry, in order (false: none);
--          'unapplied' for 'ok': atomic and one was refused; {refusal, detail}: nothing was looked at. No entries: the
--          question whether a grant would be taken ('log_full', 'unwritable': no)
-- Effects  two passes: every check, carried in tables; then log, seen (what takes a correction off the boards frees its
--          revision and key there), boards, balances, namespaces, meta
--
--- @include "include/batch_arguments"
--- @include "include/log_check"
--- @include "include/partition_head"
--- @include "include/process_entry"
--- @include "include/quotas"
--- @include "include/read_state"
--- @include "include/replies"
--- @include "include/write_state"

local call, format = redis.call, string.format
local log_key, meta_key, rules_key, hidden_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local epoch, generations, known, known_digest = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local resend_after, atomic = tonumber(ARGV[5]), ARGV[6] == '1'

local head, refusal = partition_head.read(meta_key)
if not head then
  return refusal
end
if epoch ~= format('%d', head.epoch) then
  return { 'stale_epoch', format('%d', head.epoch) }
end
if generations ~= head.generations then
  return { 'stale_generations', head.generations }
end
refusal = log_check.find_loss(log_key, head, known, known_digest)
if refusal then
  return refusal
end

if ARGV[17] == '0' then
  -- Nothing but the question whether a grant would be taken: what asks for memory as a grant does, and writes nothing.
  if head.seq - head.flushed_seq >= tonumber(ARGV[7]) then
    return { 'log_full', format('%d entries are not in the ledger', head.seq - head.flushed_seq) }
  end
  local _, unwritable = replies.try('HSETNX', meta_key, 'epoch', 0)
  return unwritable and { 'unwritable', unwritable } or { 'ok' }
end

local keys, args, counts = 4 + tonumber(ARGV[11]), 18, {}
for i = 1, 6 do
  counts[i] = tonumber(ARGV[11 + i])
end
local seen_keys = { unpack(KEYS, 5, keys) }
local batch, label_sets = { applied = {}, resend_after = resend_after }, nil
batch.room = tonumber(ARGV[7]) - (head.seq - head.flushed_seq)
batch.quotas = quotas.new(head, rules_key, ARGV[8], ARGV[9], ARGV[10])
batch.namespaces, keys, args = batch_arguments.unpack_namespaces(keys, args, counts[3])
batch.boards, keys, args = batch_arguments.unpack_boards(keys, args, counts[1], batch.namespaces)
batch.users, args = batch_arguments.unpack_users(keys, args, counts[2], ARGV[18] == '1')
batch.board_sets, args = batch_arguments.unpack_board_sets(args, counts[4], batch.boards)
label_sets, args = batch_arguments.unpack_label_sets(args, counts[5])
batch.entries, batch.ids = batch_arguments.unpack_entries(args, counts[6], batch.board_sets, batch.users, label_sets)
refusal = read_state(batch, rules_key, head.veils and hidden_key, seen_keys)
if refusal then
  return refusal
end

local now = call('TIME')
batch.at = math.max(head.at, tonumber(now[1]) * 1000000 + tonumber(now[2]))
local reply, n, refused = { 'ok' }, 1, false
for i = 1, #batch.entries do
  local code, its_epoch, its_seq, score, previous = process_entry(batch, i, head, head.seq + #batch.applied + 1, log_key)
  refused = refused or (code ~= 'applied' and code ~= 'duplicate' and code ~= 'quarantined')
  reply[n + 1], reply[n + 2], reply[n + 3], reply[n + 4], reply[n + 5] = code, its_epoch, its_seq, score, previous
  n = n + 5
end
if atomic and refused then
  reply[1] = 'unapplied'
elseif #batch.applied > 0 then
  refusal = write_state(batch, head.seq + #batch.applied, log_key, meta_key, seen_keys)
end
return refusal or reply
