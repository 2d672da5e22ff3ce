-- Members of a board: names of users, behind a prefix where there is a tie-break (include/tie_break).

local PREFIX_BYTES = { none = 0, earliest = 16, granted_at = 33 }

-- The member of a user; '' where the board has prefixes and none for the user.
local function member_of(user, prefix_key, tie_break)
  if tie_break == 'none' then
    return user
  end
  local prefix = redis.call('HGET', prefix_key, user)
  return prefix and prefix .. user or ''
end

-- The user of a member.
local function user_of(member, tie_break)
  return tie_break == 'none' and member or string.sub(member, PREFIX_BYTES[tie_break] + 1)
end

return { member_of = member_of, user_of = user_of }
