-- The verdict on an entry whose id is unseen, with what the entries before it will have changed in view.
--
--- @include "include/closed_windows"
--- @include "include/compute"
--- @include "include/namespaces"
--- @include "include/quotas"
--- @include "include/velocity"
--- @include "include/visibility"

local sub = string.sub

-- 'applied', 'quarantined', or the code of a refusal and a detail.
--
-- full: as many entries wait for the ledger as the caller lets wait. Everything that would append is then refused: grants,
-- what goes into quarantine, corrections, hides. A duplicate and a refusal append nothing. The persister gives no bound for
-- its own entries, of which a pass makes few: heals (100 a partition; without them a score stays wrong), hides that a
-- server could not finish (a user must not stay visible), and seals (they free memory).
local function validate(entry, at, full, limits)
  local namespace = entry.board_set.namespace
  if namespace.current ~= namespace.version then
    return 'stale_rules'
  end
  if entry.verdict ~= '' then
    if entry.verdict ~= 'quarantined' then
      return entry.verdict
    end
    return (full and 'log_full') or quotas.check_log_share(entry, limits) or visibility.check(entry) or 'quarantined'
  end
  local refusal, detail = full and 'log_full' or quotas.check_log_share(entry, limits), nil
  if refusal then
    return refusal
  end
  local fault = entry.board_set.fault or entry.user.fault
  if fault then
    return 'corrupt', fault
  end
  if closed_windows.is_seal(entry) then
    return (entry.board_set.closed and 'window_closed') or (closed_windows.is_over(entry) and 'applied') or 'not_over'
  elseif entry.board_set.closed and not closed_windows.may_pass(entry) then
    return 'window_closed'
  end
  for _, label in ipairs(entry.label_set.labels) do
    if not namespaces.has_room(namespace, label) then
      return sub(label, 1, 1) == 'c' and 'too_many_categories' or 'too_many_sources'
    end
  end
  local is_plain = entry.ops == '' and not entry.user.visibility
  refusal = (not is_plain and visibility.check(entry)) or compute.run(entry) or (not compute.fits(entry) and 'score_overflow')
  if not refusal and (entry.ops == '' or entry.ops == 'b') then
    refusal, detail = quotas.check_growth(entry, limits)
  end
  if refusal then
    return refusal, detail
  end
  if namespace.velocity_limits and entry.ops == '' then
    if not velocity.is_within(namespace.velocity_limits, entry.user, entry.amount, at) then
      return namespace.quarantines and 'quarantined' or 'velocity'
    end
    velocity.count(namespace.velocity_limits, entry.user, entry.amount)
  end
  return 'applied'
end

return validate
