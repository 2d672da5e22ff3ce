-- Finds the outcome of an entry, and stages what it changes.
--
--- @include "include/dedup"
--- @include "include/quotas"
--- @include "include/stage"
--- @include "include/validate"

local format, match = string.format, string.match

-- What the log records of an applied entry: "<µs> <score> <previous score>", a missing score left out; " q" behind it where
-- the entry is in quarantine.
local function result_text(at, score, previous)
  if score and previous then
    return format('%d %d %d', at, score, previous)
  end
  return score and format('%d %d ', at, score) or previous and format('%d  %d', at, previous) or format('%d  ', at)
end

-- nil where the entry claims no Idempotency-Key, or one that nobody has. 'key_used': the same request has it, by an entry that
-- the caller's plan did not know; 'key_conflict': another request has it.
local function check_claim(bundle, entry)
  local value = entry.claim and (bundle.seen[entry.claim_index] or bundle.pending[entry.claim])
  return value and (dedup.place_if_same(value, entry.request_digest) and 'key_used' or 'key_conflict')
end

-- The outcome of an entry whose id was counted before, with the digest and place in `value`.
local function process_duplicate(bundle, entry, value, score, log_key)
  local epoch, seq = dedup.place_if_same(value, entry.digest)
  if not seq then
    return 'grant_conflict', false, false, score, false
  end
  -- The caller's own first sending applied what it sends again: it gets that outcome, once.
  if bundle.resend_after >= 0 and seq > bundle.resend_after and bundle.seen[entry.number] and not bundle.pending[entry.id] then
    bundle.pending[entry.id] = value
    local code, first_score, first_previous = dedup.read_outcome(log_key, epoch, seq)
    return code, epoch, seq, first_score or score, first_previous
  end
  return 'duplicate', epoch, seq, score, score
end

-- The outcome of an entry whose id is new.
local function process_new(bundle, entry, score, epoch)
  local code, detail = check_claim(bundle, entry), nil
  if not code then
    code, detail = validate(entry, bundle)
  end
  if code ~= 'applied' and code ~= 'quarantined' then
    local ledger_epoch, ledger_seq = match(code, '^duplicate (%d+)-(%d+)$')
    if ledger_seq then
      return 'duplicate', tonumber(ledger_epoch), tonumber(ledger_seq), score, score
    end
    return code, false, false, score, detail or false
  end
  local previous, place = score, format('%d-%d', epoch, entry.seq)
  if code == 'applied' then
    score, previous = stage(bundle, entry, entry.seq)
  end
  entry.place, entry.result = place, result_text(bundle.now, score, previous) .. (code == 'applied' and '' or ' q')
  bundle.pending[entry.id] = entry.digest .. place
  if entry.claim then
    bundle.pending[entry.claim] = entry.request_digest .. place
  end
  bundle.applied[#bundle.applied + 1] = entry
  quotas.count_log_entry(entry)
  return code, epoch, entry.seq, score, previous
end

-- Code, epoch, seq, score, previous score or detail.
local function process_entry(bundle, entry, head, log_key)
  local score = entry.board_set.boards[1].scores[entry.user.number] or false
  local value = bundle.seen[entry.number] or bundle.pending[entry.id]
  entry.seq = head.seq + #bundle.applied + 1
  if value then
    return process_duplicate(bundle, entry, value, score, log_key)
  end
  return process_new(bundle, entry, score, head.epoch)
end

return process_entry
