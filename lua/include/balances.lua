-- Running balances of a user in a namespace: total, count, last granted_at, per category (`c:…`) and source (`s:…`).

-- Fills user.held for the fields this batch may touch; user.fault names a key that holds something else.
local function read_balances(user)
  local fields, held = user.fields, user.held
  local found, err = try('HMGET', user.key, unpack(fields))
  if not found then
    user.fault = user.key .. ': ' .. err
    return
  end
  for i = 1, #fields do
    local number = found[i]
    if number then
      number = integer(number)
      if not number then
        user.fault = user.key .. ': ' .. fields[i] .. ' is not an integer'
        return
      end
      held[fields[i]] = number
    end
  end
end

local function write_balances(user)
  local fields, held, args, n = user.fields, user.held, {}, 0
  for i = 1, #fields do
    local number = held[fields[i]]
    if number then
      args[n + 1], args[n + 2], n = fields[i], number, n + 2
    end
  end
  call('HSET', user.key, unpack(args))
end
