-- The verdict on an entry whose id is unseen, with what the entries before it will have changed in view.

local function fault_of(entry)
  local fault = entry.target.space.fault or entry.user.fault
  for _, board in ipairs(entry.target.boards) do
    fault = fault or board.fault
  end
  return fault
end

local function in_bounds(number)
  return number <= 999999999999999 and number >= -999999999999999
end

-- Whether every number that the entry moves stays within ±(10^15 − 1), where doubles are exact.
local function fits(entry)
  local user, amount = entry.user, entry.amount
  for _, board in ipairs(entry.target.boards) do
    if not in_bounds((board.scores[user] or 0) + amount) then
      return false
    end
  end
  local held = user.held
  return in_bounds((held.total or 0) + amount) and in_bounds((held[entry.category] or 0) + amount)
    and in_bounds((held[entry.source] or 0) + amount)
end

-- 'applied', or the code of a refusal and a detail.
local function decide(entry)
  local space = entry.target.space
  if entry.verdict ~= '' then
    return entry.verdict
  end
  if space.current ~= space.version then
    return 'stale_rules'
  end
  local fault = fault_of(entry)
  if fault then
    return 'corrupt', fault
  end
  if not has_room(space, entry.category) then
    return 'too_many_categories'
  end
  if not has_room(space, entry.source) then
    return 'too_many_sources'
  end
  return fits(entry) and 'applied' or 'score_overflow'
end
