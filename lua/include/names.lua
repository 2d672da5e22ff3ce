-- Users' names out of the members of a board.

local DIGITS = { none = 0, earliest = 16, granted_at = 33 } -- in front of a name, by tie-break (include/ties)

local function user_of(member, tie_break)
  return string.sub(member, DIGITS[tie_break] + 1)
end
