-- Members of a board: users, or users behind the digits that the board's orders tell (include/ties).

-- The member under which a user stands; '' where orders are kept and the user has none.
local function member_of(user, orders_key, tie_break)
  if tie_break == 'none' then
    return user
  end
  local digits = redis.call('HGET', orders_key, user)
  return digits and digits .. user or ''
end
