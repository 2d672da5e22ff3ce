-- The verdict on an entry whose id is unseen, with what the entries before it will have changed in view.

-- 'applied', 'quarantined', or the code of a refusal and a detail.
--
-- full: as many entries wait for the ledger as the caller lets wait. Everything that would append is then refused: grants,
-- what goes into quarantine, corrections, hides. A duplicate and a refusal append nothing. The persister gives no bound for
-- its own entries, of which a pass makes few: heals (100 a partition; without them a score stays wrong), hides that a
-- server could not finish (a user must not stay visible), and seals (they free memory).
local function decide(entry, at, full, quotas)
  local space = entry.target.space
  if space.current ~= space.version then
    return 'stale_rules'
  end
  if entry.verdict ~= '' then
    if entry.verdict ~= 'quarantined' then
      return entry.verdict
    end
    return (full and 'log_full') or refuse_share(entry, quotas) or refuse_veil(entry) or 'quarantined'
  end
  local refusal, detail = full and 'log_full' or refuse_share(entry, quotas), nil
  if refusal then
    return refusal
  end
  local fault = entry.target.fault or entry.user.fault
  if fault then
    return 'corrupt', fault
  end
  if is_seal(entry) then
    return (entry.target.closed and 'window_closed') or (may_close(entry) and 'applied') or 'not_over'
  elseif entry.target.closed and not reaches_closed(entry) then
    return 'window_closed'
  end
  for _, label in ipairs(entry.shape.labels) do
    if not has_room(space, label) then
      return sub(label, 1, 1) == 'c' and 'too_many_categories' or 'too_many_sources'
    end
  end
  local is_plain = entry.moves == '' and not entry.user.veil
  refusal = (not is_plain and refuse_veil(entry)) or work_out(entry) or (not fits(entry) and 'score_overflow')
  if not refusal and (entry.moves == '' or entry.moves == 'b') then
    refusal, detail = refuse_growth(entry, quotas)
  end
  if refusal then
    return refusal, detail
  end
  if space.limits and entry.moves == '' then
    if not within_pace(space.limits, entry.user, entry.amount, at) then
      return space.quarantines and 'quarantined' or 'velocity'
    end
    take_pace(space.limits, entry.user, entry.amount)
  end
  return 'applied'
end
