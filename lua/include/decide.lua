-- The verdict on an entry whose id is unseen, with what the entries before it will have changed in view.

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
  for _, label in ipairs(entry.shape.labels) do
    if not has_room(space, label) then
      return sub(label, 1, 1) == 'c' and 'too_many_categories' or 'too_many_sources'
    end
  end
  return work_out(entry) or (fits(entry) and 'applied' or 'score_overflow')
end
