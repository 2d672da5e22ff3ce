-- Decides whether an entry applies whose id is new. What the entries before it will change is taken into account.
--
--- @include "include/closed_windows"
--- @include "include/compute"
--- @include "include/namespaces"
--- @include "include/quotas"
--- @include "include/velocity"
--- @include "include/visibility"

local sub = string.sub

-- The first refusal of what every entry needs: room in the log, readable keys, an open window, and labels that fit.
--
-- A full log refuses everything that it would have to take: grants, also those that go into quarantine, corrections and
-- visibility entries. The persister sets no limit for its own entries, which are few: heals (without them a score stays
-- wrong), visibility entries that a server could not finish (a user must not stay visible), and seals (they free memory).
local function check_state(entry, bundle)
  local namespace, board_set = entry.board_set.namespace, entry.board_set
  if #bundle.applied >= bundle.capacity then
    return 'log_full'
  end
  local refusal = quotas.check_log_share(entry, bundle.quotas)
  if refusal then
    return refusal
  end
  local fault = board_set.fault or entry.user.fault
  if fault then
    return 'corrupt', fault
  end
  if board_set.is_closed and not entry.kind.passes_closed then
    return 'window_closed'
  end
  local labels = entry.label_set.labels
  for i = 1, #labels do
    if not namespaces.has_room(namespace, labels[i]) then
      return sub(labels[i], 1, 1) == 'c' and 'too_many_categories' or 'too_many_sources'
    end
  end
  return nil
end

-- A grant that the caller wants in quarantine moves nothing.
local function validate_quarantine(entry, bundle)
  return #bundle.applied >= bundle.capacity and 'log_full' or quotas.check_log_share(entry, bundle.quotas)
    or visibility.check(entry) or 'quarantined'
end

local function validate_seal(entry)
  return entry.board_set.is_closed and 'window_closed' or closed_windows.is_over(entry) and 'applied' or 'not_over'
end

-- Checks a grant against velocities, and counts it there.
local function check_velocity(entry, now)
  local namespace = entry.board_set.namespace
  local limits = namespace.velocity_limits
  if not velocity.is_within(limits, entry.user, entry.amount, now) then
    return namespace.quarantines and 'quarantined' or 'velocity'
  end
  velocity.count(limits, entry.user, entry.amount)
  return 'applied'
end

-- 'applied', 'quarantined', or the code of a refusal and its detail. Leaves the new values in bundle.new_values.
local function validate(entry, bundle)
  local namespace, kind = entry.board_set.namespace, entry.kind
  if namespace.current_version ~= namespace.version then
    return 'stale_rules'
  end
  if entry.verdict ~= '' then
    return entry.verdict == 'quarantined' and validate_quarantine(entry, bundle) or entry.verdict
  end
  local refusal, detail = check_state(entry, bundle)
  if refusal then
    return refusal, detail
  end
  if kind.is_seal then
    return validate_seal(entry)
  end
  if not kind.has_velocity or entry.user.visibility then
    refusal = visibility.check(entry)
  end
  refusal = refusal or compute(entry, bundle.new_values)
  if not refusal and kind.is_grant then
    refusal, detail = quotas.check_growth(entry, bundle.quotas)
  end
  if refusal then
    return refusal, detail
  end
  return kind.has_velocity and namespace.velocity_limits and check_velocity(entry, bundle.now) or 'applied'
end

return validate
