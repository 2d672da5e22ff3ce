-- What the log records of an applied entry: "at score previous", a score left out where there is none; " q" behind it
-- where the entry is in quarantine and moves nothing.
--
--- @include "include/dedup"
--- @include "include/quotas"
--- @include "include/stage"
--- @include "include/validate"

local format, match = string.format, string.match

local function result_of(at, score, previous)
  if score and previous then
    return format('%d %d %d', at, score, previous)
  end
  return score and format('%d %d ', at, score) or previous and format('%d  %d', at, previous) or format('%d  ', at)
end

-- nil where the entry claims no Idempotency-Key, or one that is free. 'key_used': the very same was asked with it, by an
-- entry that the caller's plan did not know of; 'key_conflict': something else was.
local function refuse_claim(batch, entry)
  local held = entry.claim and (batch.seen[entry.claim_place] or batch.pending[entry.claim])
  return held and (dedup.position_if_same(held, entry.request_digest) and 'key_used' or 'key_conflict')
end

-- One entry's outcome: code, epoch, seq, score, previous score or detail.
local function process_entry(batch, i, head, seq, log_key)
  local entry = batch.entries[i]
  local score = entry.board_set.boards[1].scores[entry.user.number] or false
  local counted = batch.seen[i] or batch.pending[entry.id]
  entry.seq = seq
  if not counted then
    local code, detail = refuse_claim(batch, entry), nil
    if not code then
      code, detail = validate(entry, batch.at, #batch.applied >= batch.room, batch.quotas)
    end
    local ledger_epoch, ledger_seq = match(code, '^duplicate (%d+)-(%d+)$')
    if ledger_seq then
      return 'duplicate', tonumber(ledger_epoch), tonumber(ledger_seq), score, score
    end
    if code ~= 'applied' and code ~= 'quarantined' then
      return code, false, false, score, detail or false
    end
    local previous = score
    if code == 'applied' then
      score, previous = stage(batch, entry, seq)
    end
    entry.stream_id = format('%d-%d', head.epoch, seq)
    entry.result = result_of(batch.at, score, previous) .. (code == 'applied' and '' or ' q')
    batch.pending[entry.id] = entry.digest .. entry.stream_id
    if entry.claim then
      batch.pending[entry.claim] = entry.request_digest .. entry.stream_id
    end
    batch.applied[#batch.applied + 1] = entry
    quotas.count_log_entry(entry)
    return code, head.epoch, seq, score, previous
  end
  local its_epoch, its_seq = dedup.position_if_same(counted, entry.digest)
  if not its_seq then
    return 'grant_conflict', false, false, score, false
  end
  -- A duplicate of the caller's own resend was applied by the first sending: it gets that answer, once.
  if batch.resend_after >= 0 and its_seq > batch.resend_after and batch.seen[i] and not batch.pending[entry.id] then
    batch.pending[entry.id] = counted
    local code, then_score, then_previous = dedup.read_outcome(log_key, its_epoch, its_seq)
    return code, its_epoch, its_seq, then_score or score, then_previous
  end
  return 'duplicate', its_epoch, its_seq, score, score
end

return process_entry
