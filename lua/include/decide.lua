-- The verdict on an entry whose id is unseen, with what the entries before it will have changed in view.

local function in_bounds(number)
  return number <= 999999999999999 and number >= -999999999999999
end

-- Whether every number that the entry moves stays within ±(10^15 − 1), where doubles are exact.
local function fits(entry)
  local number, amount, held, boards = entry.user.number, entry.amount, entry.user.held, entry.target.boards
  for i = 1, #boards do
    if not in_bounds((boards[i].scores[number] or 0) + amount) then
      return false
    end
  end
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
  local fault = entry.target.fault or entry.user.fault
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
