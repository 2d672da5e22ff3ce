-- Balances of a user in a namespace: total, count and last granted_at of live grants, the seq of the user's last change, and
-- a balance for each category and source. The same hash holds, by other includes, hidden scores, velocities and grant times.
--   user.fields  the fields that this bundle may touch; user.dates: the days
--   user.index   label -> its index among the fields; a day's index is its label
--   user.values  the values by index, false for none; the first four are TOTAL, COUNT, LAST and SEQ
-- Two fields are written and not read with the others: when the score on the `all` board changed last (µs), and the seq of
-- the last change that was no grant (include/compute reads it).
--
--- @include "include/days"
--- @include "include/fields"
--- @include "include/replies"

local call, sub, integer = redis.call, string.sub, replies.integer

local TOTAL, COUNT, LAST, SEQ = 1, 2, 3, 4

-- The fields that every user has, in the order of their indexes.
local function first_fields()
  return { fields.TOTAL, fields.COUNT, fields.LAST, fields.SEQ }
end

-- Gives a user lists of their own instead of those of a label set.
local function copy_lists(user)
  local index = {}
  for label, i in pairs(user.index) do
    index[label] = i
  end
  user.owns_lists, user.fields, user.dates, user.index = true, { unpack(user.fields) }, { unpack(user.dates) }, index
end

-- Adds the labels of a label set to a user's lists. The user shares the lists of the first set until another set brings a
-- further label.
local function add_labels(user, label_set)
  if not user.fields then
    user.fields, user.dates, user.index = label_set.fields, label_set.dates, label_set.index
    return
  end
  for _, label in ipairs(label_set.labels) do
    if not user.index[label] then
      if not user.owns_lists then
        copy_lists(user)
      end
      if sub(label, 1, 2) == 'd:' then
        user.dates[#user.dates + 1], user.index[label] = label, label
      else
        user.fields[#user.fields + 1], user.index[label] = label, #user.fields + 1
      end
    end
  end
end

-- Fills user.values. user.fault says what could not be read.
local function read(user)
  local names = user.fields
  local values, err = replies.try('HMGET', user.key, unpack(names))
  if not values then
    user.fault = user.key .. ': ' .. err
    return
  end
  for i = 1, #names do
    if values[i] then
      values[i] = integer(values[i])
      if not values[i] then
        user.fault = user.key .. ': ' .. names[i] .. ' is not an integer'
        return
      end
    end
  end
  user.values = values
  if user.dates[1] then
    days.read(user)
  end
end

-- Writes a user's values. args: a table that all calls share, because there are as many calls as entries.
local function write(user, args)
  local names, values, n, deleted = user.fields, user.values, 0, {}
  for i = 1, #names do
    if values[i] then
      args[n + 1], args[n + 2], n = names[i], values[i], n + 2
    elseif user.loses_fields then
      deleted[#deleted + 1] = names[i]
    end
  end
  if user.changed_at then
    args[n + 1], args[n + 2], n = fields.CHANGED_AT, user.changed_at, n + 2
  end
  if user.corrected_seq then
    args[n + 1], args[n + 2], n = fields.CORRECTED, user.corrected_seq, n + 2
  end
  call('HSET', user.key, unpack(args, 1, n))
  if user.dates[1] then
    days.write(user)
  end
  if deleted[1] then
    call('HDEL', user.key, unpack(deleted))
  end
end

return { TOTAL = TOTAL, COUNT = COUNT, LAST = LAST, SEQ = SEQ, first_fields = first_fields, add_labels = add_labels,
         read = read, write = write }
