-- The one write path: applies a batch of entries to one partition, all of it at once, or refuses it whole.
--
-- KEYS     log, meta, rules, hidden users, seen generations (newest first), namespaces (each followed by its own hidden
--          users), boards (each followed by its order, its scores, its sums and its times where its namespace keeps
--          them), users (each their balances, followed by their days where users have some)
-- ARGV     epoch, generations, known id, its digest, resend-after seq (-1: no resend), atomic (0|1), most
--          entries that the ledger may lack; most users, most open boards and most entries in the log that a namespace
--          may have (0: no bound); counts of generations, boards, users, namespaces, targets, shapes and
--          entries; whether users have days (0|1); then the parts as include/batch reads them
-- Reply    {'ok', code, epoch, seq, score, previous score | detail, …}: five an entry, in order (false: none);
--          'unapplied' for 'ok': atomic and one was refused; {refusal, detail}: nothing was looked at. No entries: the
--          question whether a grant would be taken ('log_full', 'unwritable': no)
-- Effects  two passes: every check, carried in tables; then log, seen (what takes a correction off the boards frees its
--          revision and key there), boards, balances, namespaces, meta
--
--- @include "include/call"
--- @include "include/head"
--- @include "include/tail"
--- @include "include/seen"
--- @include "include/veil"
--- @include "include/longs"
--- @include "include/nodes"
--- @include "include/sums"
--- @include "include/tally"
--- @include "include/ties"
--- @include "include/times"
--- @include "include/boards"
--- @include "include/days"
--- @include "include/balances"
--- @include "include/spaces"
--- @include "include/quota"
--- @include "include/window"
--- @include "include/closed"
--- @include "include/pace"
--- @include "include/merge"
--- @include "include/batch"
--- @include "include/load"
--- @include "include/outcome"
--- @include "include/decide"
--- @include "include/effects"
--- @include "include/judge"
--- @include "include/write"

local log_key, meta_key, rules_key, hidden_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local epoch, generations, known, known_digest = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local resend_after, atomic = tonumber(ARGV[5]), ARGV[6] == '1'

local head, refusal = read_head(meta_key)
if not head then
  return refusal
end
if epoch ~= format('%d', head.epoch) then
  return { 'stale_epoch', format('%d', head.epoch) }
end
if generations ~= head.generations then
  return { 'stale_generations', head.generations }
end
refusal = lost_tail(log_key, head, known, known_digest)
if refusal then
  return refusal
end

if ARGV[17] == '0' then
  -- Nothing but the question whether a grant would be taken: what asks for memory as a grant does, and writes nothing.
  if head.seq - head.flushed_seq >= tonumber(ARGV[7]) then
    return { 'log_full', format('%d entries are not in the ledger', head.seq - head.flushed_seq) }
  end
  local _, unwritable = try('HSETNX', meta_key, 'epoch', 0)
  return unwritable and { 'unwritable', unwritable } or { 'ok' }
end

local keys, args, counts = 4 + tonumber(ARGV[11]), 18, {}
for i = 1, 6 do
  counts[i] = tonumber(ARGV[11 + i])
end
local seen_keys = { unpack(KEYS, 5, keys) }
local batch, shapes = { applied = {}, resend_after = resend_after }, nil
batch.room = tonumber(ARGV[7]) - (head.seq - head.flushed_seq)
batch.quotas = quotas_of(head, rules_key, ARGV[8], ARGV[9], ARGV[10])
batch.spaces, keys, args = unpack_spaces(keys, args, counts[3])
batch.boards, keys, args = unpack_boards(keys, args, counts[1], batch.spaces)
batch.users, args = unpack_users(keys, args, counts[2], ARGV[18] == '1')
batch.targets, args = unpack_targets(args, counts[4], batch.boards)
shapes, args = unpack_shapes(args, counts[5])
batch.entries, batch.ids = unpack_entries(args, counts[6], batch.targets, batch.users, shapes)
refusal = load_batch(batch, rules_key, head.veils and hidden_key, seen_keys)
if refusal then
  return refusal
end

local now = call('TIME')
batch.at = math.max(head.at, tonumber(now[1]) * 1000000 + tonumber(now[2]))
local reply, n, refused = { 'ok' }, 1, false
for i = 1, #batch.entries do
  local code, its_epoch, its_seq, score, previous = judge(batch, i, head, head.seq + #batch.applied + 1, log_key)
  refused = refused or (code ~= 'applied' and code ~= 'duplicate' and code ~= 'quarantined')
  reply[n + 1], reply[n + 2], reply[n + 3], reply[n + 4], reply[n + 5] = code, its_epoch, its_seq, score, previous
  n = n + 5
end
if atomic and refused then
  reply[1] = 'unapplied'
elseif #batch.applied > 0 then
  refusal = write_batch(batch, head.seq + #batch.applied, log_key, meta_key, seen_keys)
end
return refusal or reply
