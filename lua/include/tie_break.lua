-- Tie-breaks. Among equal scores a sorted set lists the greater member first, so a member is the user's name behind digits
-- that fall as time goes on. The digits are called the prefix. Prefixes have equal lengths and compare as text:
--   earliest    16 digits of the seq of the entry that changed the score last
--   granted_at  17 digits of the moment (µs) of the grant that completed the score, then 16 digits of its seq
--
--- @lazy

local format = string.format

-- The prefix of a sum of grants of 0: before every moment.
local NO_MOMENT = string.rep('9', 17) .. '9000000000000000'

local function seq_prefix(seq)
  return format('%016d', 9000000000000000 - seq)
end

-- The moment is printed in two parts: a double cannot hold all of its digits.
local function grant_prefix(moment, seq)
  local micros = moment % 1000000
  return format('%011d%06d', 9000000000 - (moment - micros) / 1000000, 999999 - micros) .. seq_prefix(seq)
end

-- The prefix after a grant whose own prefix is `own`. It is that of: the latest grant that is not 0 (sum), the earliest grant
-- of the best amount (best), the latest grant (latest). old_prefix, old: prefix and score before the grant (false: none);
-- new: the score after it; is_latest: whether the grant is the latest.
local function prefix_after(entry, own, old_prefix, old, new, is_latest)
  local namespace = entry.board_set.namespace
  if not (old_prefix and old) then
    return namespace.adds and entry.amount == 0 and NO_MOMENT or own
  elseif namespace.adds then
    return (entry.amount == 0 or old_prefix < own) and old_prefix or own
  elseif namespace.latest then
    return is_latest and own or old_prefix
  elseif new ~= old then
    return own
  end
  return entry.amount == old and old_prefix < own and own or old_prefix
end

-- Fills the new prefixes after a grant.
local function set_prefixes(entry, new)
  local number, boards = entry.user.number, entry.board_set.boards
  local own = grant_prefix(entry.granted_at, entry.seq)
  for i = 1, #boards do
    local board, is_latest = boards[i], new.times[i] == entry.granted_at
    new.prefixes[i] =
      prefix_after(entry, own, board.prefixes[number], board.scores[number], new.scores[i], is_latest)
  end
end

return { NO_MOMENT = NO_MOMENT, seq_prefix = seq_prefix, set_prefixes = set_prefixes }
