-- The verdict on an entry whose id is unseen, with what the entries before it will have changed in view.

local function in_bounds(number)
  return number <= 999999999999999 and number >= -999999999999999
end

-- Whether every number that the entry moves stays within ±(10^15 − 1), where doubles are exact.
local function fits(entry)
  local user, amount, boards, shape = entry.user, entry.amount, entry.target.boards, entry.shape
  local number, held, at = user.number, user.held, user.at
  for i = 1, #boards do
    if not in_bounds((boards[i].scores[number] or 0) + amount) then
      return false
    end
  end
  return in_bounds((held[1] or 0) + amount) and in_bounds((held[at[shape.category]] or 0) + amount)
    and in_bounds((held[at[shape.source]] or 0) + amount)
end

-- 'applied', or the code of a refusal and a detail.
local function decide(entry)
  local space = entry.target.space
  if space.current ~= space.version then
    return 'stale_rules'
  end
  if entry.verdict ~= '' then
    return entry.verdict
  end
  local fault = entry.target.fault or entry.user.fault
  if fault then
    return 'corrupt', fault
  end
  if not has_room(space, entry.shape.category) then
    return 'too_many_categories'
  end
  if not has_room(space, entry.shape.source) then
    return 'too_many_sources'
  end
  return fits(entry) and 'applied' or 'score_overflow'
end
