-- Tie-breaks. Among equal scores a sorted set lists the greater member first, so a member is the user's name behind digits
-- that fall as time goes on. The digits are called the prefix. Prefixes have equal lengths and compare as text:
--   earliest    16 digits of the seq of the entry that changed the score last
--   granted_at  17 digits of the moment (µs) of the grant that completed the score, then 16 digits of its seq
--
--- @lazy
--- @include "include/aggregation"

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

-- Fills the new prefixes after a grant.
local function set_prefixes(entry, new)
  local number, boards, namespace = entry.user.number, entry.board_set.boards, entry.board_set.namespace
  local own = grant_prefix(entry.granted_at, entry.seq)
  for i = 1, #boards do
    local board, is_latest = boards[i], new.times[i] == entry.granted_at
    new.prefixes[i] = aggregation.prefix_after(
      namespace, entry.amount, own, board.prefixes[number], board.scores[number], new.scores[i], is_latest) or NO_MOMENT
  end
end

return { NO_MOMENT = NO_MOMENT, seq_prefix = seq_prefix, set_prefixes = set_prefixes }
