-- How a grant's amount and the score there was make the new one.

local function add(old, amount)
  return old + amount
end

local function replace(_, amount)
  return amount
end

-- The function of an aggregation and an order; `old` is a number.
local function merge_of(aggregation, ascending)
  if aggregation == 'sum' then
    return add
  elseif aggregation == 'latest' then
    return replace
  end
  return ascending and math.min or math.max
end
