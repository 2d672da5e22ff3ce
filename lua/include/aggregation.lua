-- How grants make a score: all that an aggregation means to the scripts. app/model/aggregation.py says the same in Python.

local function add(old, amount)
  return old + amount
end

-- What an aggregation and an order mean: whether scores are sums; whether a grant time is kept beside each score
-- (include/grant_times, which then makes the score); else how the old score and a grant's amount make the new score.
local function of(name, ascending)
  if name == 'sum' then
    return true, false, add
  elseif name == 'latest' then
    return false, true, nil
  elseif name == 'best' then
    return false, false, ascending and math.min or math.max
  end
  error('unknown aggregation: ' .. name)
end

-- The tie-break prefix of a score after a grant; nil: before every moment. It is the prefix of
--   sum      the latest grant that is not 0
--   best     the earliest grant of the best amount
--   latest   the latest grant
-- own: the grant's own prefix; old_prefix, old: prefix
-- and score before the grant (false: none); new: the score after it; is_latest: whether the grant is the latest.
local function prefix_after(namespace, amount, own, old_prefix, old, new, is_latest)
  if not (old_prefix and old) then
    return not (namespace.adds and amount == 0) and own or nil
  elseif namespace.adds then
    return (amount == 0 or old_prefix < own) and old_prefix or own
  elseif namespace.keeps_times then
    return is_latest and own or old_prefix
  elseif new ~= old then
    return own
  end
  return amount == old and old_prefix < own and own or old_prefix
end

return { of = of, prefix_after = prefix_after }
