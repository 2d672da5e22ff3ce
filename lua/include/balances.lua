-- Running balances of a user in a namespace: total, count, last granted_at, per category (`c:…`) and source (`s:…`).

-- Fills user.held for the fields this batch may touch; user.fault names a key that holds something else.
local function read_balances(user)
  local found, err = try('HMGET', user.key, unpack(user.fields))
  if not found then
    user.fault = user.key .. ': ' .. err
    return
  end
  for i, field in ipairs(user.fields) do
    local number = integer(found[i], false)
    if number == nil then
      user.fault = user.key .. ': ' .. field .. ' is not an integer'
      return
    end
    user.held[field] = number
  end
end

local function write_balances(user)
  local args, n = {}, 0
  for _, field in ipairs(user.fields) do
    if user.held[field] then
      args[n + 1], args[n + 2], n = field, user.held[field], n + 2
    end
  end
  call('HSET', user.key, unpack(args))
end
