-- How users of equal scores stand in line: digits in front of the name, which fall as the line goes on, since of equal
-- scores a sorted set lists the greater member first. Digits are text, so any two compare as they are.
-- `earliest`: 16 digits of the seq of the entry that last changed the score. `granted_at`: 17 digits of the moment (µs) of
-- the grant that made the score complete, then 16 of its seq.

local format = string.format

local NO_MOMENT = string.rep('9', 17) .. '9000000000000000' -- of a sum of nothing but 0: before every moment

local function seq_prefix(seq)
  return format('%016d', 9000000000000000 - seq)
end

-- In two parts: together they pass what a double tells apart.
local function grant_prefix(moment, seq)
  local micros = moment % 1000000
  return format('%011d%06d', 9000000000 - (moment - micros) / 1000000, 999999 - micros) .. seq_prefix(seq)
end

-- The digits after a grant whose own are `own`, by the aggregation: of a sum those of the latest grant that is not 0; of the
-- best those of the earliest that equals it; of the latest its own. held, old: digits and score before (false: none);
-- new: the score after it; is_latest: whether the grant is the latest.
local function prefix_after(entry, own, held, old, new, is_latest)
  local namespace = entry.board_set.namespace
  if not (held and old) then
    return namespace.adds and entry.amount == 0 and NO_MOMENT or own
  elseif namespace.adds then
    return (entry.amount == 0 or held < own) and held or own
  elseif namespace.latest then
    return is_latest and own or held
  elseif new ~= old then
    return own
  end
  return entry.amount == old and held < own and own or held
end

return { NO_MOMENT = NO_MOMENT, seq_prefix = seq_prefix, grant_prefix = grant_prefix, prefix_after = prefix_after }
