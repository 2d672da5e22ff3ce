-- The write path: applies a bundle of entries to one partition, all at once, or refuses the whole bundle.
--
-- KEYS     log, meta, rules, hidden users; dedup generations, the newest first; namespaces, each followed by its hidden users;
--          boards, each followed by its prefixes, distinct scores, sum tree and grant times where its namespace has them;
--          balances of users, each followed by their days where the bundle has days
-- ARGV     epoch, generations, place of the last acknowledged entry, its digest, resend-after seq (-1: no resend), atomic
--          (0|1); most entries that the ledger may lack; most users, boards and log entries of a namespace (0: no limit);
--          number of generations, boards, users, namespaces, board sets, label sets and entries; whether the bundle has days
--          (0|1); then the parts of the bundle (include/arguments)
-- Reply    {'ok', code, epoch, seq, score, previous score | detail, …}: five for each entry, in order; false: none.
--          'unapplied' instead of 'ok': the bundle is atomic and an entry was refused. {refusal, detail}: no entry was looked
--          at. Without entries the call asks whether a grant would be taken; 'log_full' and 'unwritable' say no
-- Effects  first everything is read and checked; then log, dedup, boards, balances, namespaces and meta are written. A heal
--          that takes back a correction also frees the correction's ids in dedup
--
--- @include "include/arguments"
--- @include "include/fields"
--- @include "include/log_check"
--- @include "include/memory"
--- @include "include/partition_head"
--- @include "include/process_entry"
--- @include "include/quotas"
--- @include "include/read_state"
--- @include "include/replies"
--- @include "include/write_state"

local log_key, meta_key, rules_key, hidden_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local epoch, generations, known, known_digest = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local is_atomic, log_max, has_days = ARGV[6] == '1', tonumber(ARGV[7]), ARGV[18] == '1'
local FIXED_KEYS, FIXED_ARGS = 4, 18

-- Whether a grant would be taken: needs memory as a grant does, and writes nothing.
local function ask(head)
  local waiting = head.seq - head.flushed_seq
  if waiting >= log_max then
    return { 'log_full', string.format('%d entries are not in the ledger', waiting) }
  end
  local _, err = replies.try('HSETNX', meta_key, fields.EPOCH, 0)
  return err and memory.refusal(err) or { 'ok' }
end

-- The bundle, with dedup keys.
local function unpack_call(head)
  local counts = {}
  for i = 1, 7 do
    counts[i] = tonumber(ARGV[10 + i])
  end
  local first = FIXED_KEYS + counts[1]
  local bundle = arguments.unpack(first, FIXED_ARGS, { unpack(counts, 2) }, has_days)
  bundle.resend_after, bundle.capacity = tonumber(ARGV[5]), log_max - (head.seq - head.flushed_seq)
  bundle.quotas = quotas.new(head, rules_key, ARGV[8], ARGV[9], ARGV[10])
  bundle.new_values = { scores = {}, times = {}, prefixes = {}, labels = {}, label_times = {} }
  return bundle, { unpack(KEYS, FIXED_KEYS + 1, first) }
end

-- The reply for all entries, and whether one of them was refused.
local function process(bundle, head)
  local reply, n, is_refused = { 'ok' }, 1, false
  for _, entry in ipairs(bundle.entries) do
    local code, entry_epoch, seq, score, previous = process_entry(bundle, entry, head, log_key)
    is_refused = is_refused or (code ~= 'applied' and code ~= 'duplicate' and code ~= 'quarantined')
    reply[n + 1], reply[n + 2], reply[n + 3], reply[n + 4], reply[n + 5] = code, entry_epoch, seq, score, previous
    n = n + 5
  end
  return reply, is_refused
end

local head, refusal = partition_head.read(meta_key)
if not head then
  return refusal
end
if epoch ~= string.format('%d', head.epoch) then
  return { 'stale_epoch', string.format('%d', head.epoch) }
end
if generations ~= head.generations then
  return { 'stale_generations', head.generations }
end
refusal = log_check.find_loss(log_key, head, known, known_digest)
if refusal then
  return refusal
end
if ARGV[17] == '0' then
  return ask(head)
end

local bundle, dedup_keys = unpack_call(head)
refusal = read_state(bundle, rules_key, head.has_hidden and hidden_key, dedup_keys)
if refusal then
  return refusal
end
local now = redis.call('TIME')
bundle.now = math.max(head.clock, tonumber(now[1]) * 1000000 + tonumber(now[2]))
local reply, is_refused = process(bundle, head)
if is_atomic and is_refused then
  reply[1] = 'unapplied'
elseif bundle.applied[1] then
  refusal = write_state(bundle, head.seq + #bundle.applied, log_key, meta_key, dedup_keys)
end
return refusal or reply
