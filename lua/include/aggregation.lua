-- How a grant's amount and the score there was make the new one.

local function add(old, amount)
  return old + amount
end

-- The function of an aggregation and an order; `old` is a number. None for `latest`, which goes by times (include/grant_times).
local function merge_of(aggregation, ascending)
  if aggregation == 'sum' then
    return add
  elseif aggregation == 'latest' then
    return nil
  end
  return ascending and math.min or math.max
end

return { merge_of = merge_of }
