-- Running balances of a user in a namespace: total, count, last granted_at, seq of the last change, then per category
-- (`c:…`) and source (`s:…`); of hidden users also their scores on boards (`h:…`, include/boards). `at`: when the score on
-- the `all` board last changed (µs); it is written and never read here. `corrected`: the seq of the last change that was no
-- grant, there once there was one; include/compute reads it.
-- A user's `fields` are those that this batch may touch, `held` their values in that order (false: none), `at` the
-- places of the labels among them; `dates` are the days that it may touch (include/days).
--
--- @include "include/days"
--- @include "include/replies"

local call, sub = redis.call, string.sub

-- The user has lists of their own.
local function own_lists(user)
  local at = {}
  for known, place in pairs(user.at) do
    at[known] = place
  end
  user.owns, user.fields, user.dates, user.at = true, { unpack(user.fields) }, { unpack(user.dates) }, at
end

-- The user meets a shape of labels: the first one's lists are shared, with a label beyond them the user gets its own.
local function want(user, label_set)
  if not user.fields then
    user.fields, user.dates, user.at = label_set.fields, label_set.dates, label_set.at
    return
  end
  for _, label in ipairs(label_set.labels) do
    if not user.at[label] then
      if not user.owns then
        own_lists(user)
      end
      if sub(label, 1, 2) == 'd:' then
        user.dates[#user.dates + 1], user.at[label] = label, label
      else
        user.fields[#user.fields + 1], user.at[label] = label, #user.fields + 1
      end
    end
  end
end

-- Fills user.held; user.fault names a key that holds something else.
local function read(user)
  local fields = user.fields
  local held, err = replies.try('HMGET', user.key, unpack(fields))
  if not held then
    user.fault = user.key .. ': ' .. err
    return
  end
  for i = 1, #fields do
    if held[i] then
      held[i] = replies.integer(held[i])
      if not held[i] then
        user.fault = user.key .. ': ' .. fields[i] .. ' is not an integer'
        return
      end
    end
  end
  user.values = held
  if user.dates[1] then
    days.read(user)
  end
end

-- `scratch`: a table to be used again, for there are as many of these calls as entries.
local function write(user, scratch)
  local fields, held, n, lost = user.fields, user.values, 0, {}
  for i = 1, #fields do
    if held[i] then
      scratch[n + 1], scratch[n + 2], n = fields[i], held[i], n + 2
    elseif user.loses_fields then
      lost[#lost + 1] = fields[i]
    end
  end
  if user.changed_at then
    scratch[n + 1], scratch[n + 2], n = 'at', user.changed_at, n + 2
  end
  if user.corrected then
    scratch[n + 1], scratch[n + 2], n = 'corrected', user.corrected, n + 2
  end
  call('HSET', user.key, unpack(scratch, 1, n))
  if user.dates[1] then
    days.write(user)
  end
  if lost[1] then
    call('HDEL', user.key, unpack(lost))
  end
end

return { want = want, read = read, write = write }
