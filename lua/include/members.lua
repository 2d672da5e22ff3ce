-- Users' names out of the members of a board.

local DIGITS = { none = 0, earliest = 16, granted_at = 33 } -- in front of a name, by tie-break (include/tie_break)

local function user_of(member, tie_break)
  return string.sub(member, DIGITS[tie_break] + 1)
end

-- Members of a board: users, or users behind the digits that the board's orders tell (include/tie_break).

-- The member under which a user stands; '' where orders are kept and the user has none.
local function member_of(user, prefix_key, tie_break)
  if tie_break == 'none' then
    return user
  end
  local prefix = redis.call('HGET', prefix_key, user)
  return prefix and prefix .. user or ''
end

return { member_of = member_of, user_of = user_of }
