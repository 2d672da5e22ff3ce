-- How the amount of a grant and the old score make the new score.

local function add(old, amount)
  return old + amount
end

-- The function of an aggregation and an order; nil for `latest`, which goes by grant times (include/grant_times).
local function merge_of(aggregation, ascending)
  if aggregation == 'sum' then
    return add
  elseif aggregation == 'latest' then
    return nil
  end
  return ascending and math.min or math.max
end

return { merge_of = merge_of }
