-- Times, where the aggregation is `latest`: of each user's number the granted_at (µs) of the grant that it is. A grant that
-- is not older takes its place; among equals that is the later entry. A hash beside each board holds the times of its
-- users, also of those who are hidden; beside the balance of a label stands the field `g<label>` (`gc:…`, `gs:…`).
--
--- @include "include/replies"

local call = redis.call

-- Fills board.times, by the number of the user; board.fault names a key or a value that is no such thing.
local function read(board, users, names)
  local found, err = replies.try('HMGET', board.times_key, unpack(names))
  if not found then
    board.fault = board.times_key .. ': ' .. err
    return
  end
  for i = 1, #users do
    local time = found[i] and replies.integer(found[i])
    if found[i] and not time then
      board.fault = board.times_key .. ': a time is not an integer'
      return
    end
    board.times[users[i].number] = time
  end
end

-- A board's time becomes another one; false or nil: the user has no number there any more.
local function set(board, number, time)
  if board.times[number] ~= (time or nil) then
    board.times[number], board.retimed[number] = time or nil, true
  end
end

-- The times that have changed; those of a user who is being erased go.
local function write(board, users)
  local args, n, gone = {}, 0, {}
  for i = 1, #users do
    local user = users[i]
    local time = user.visibility ~= 'erasing' and board.times[user.number]
    if user.visibility == 'erasing' or (board.retimed[user.number] and not time) then
      gone[#gone + 1] = user.name
    elseif board.retimed[user.number] then
      args[n + 1], args[n + 2], n = user.name, time, n + 2
    end
    board.retimed[user.number] = nil
  end
  if n > 0 then
    call('HSET', board.times_key, unpack(args))
  end
  if gone[1] then
    call('HDEL', board.times_key, unpack(gone))
  end
end

-- A shape of labels with their times as further fields. `times`: the field of each label, false of a day's.
local function with_times(label_set)
  local timed = { labels = {}, dates = label_set.dates, fields = { unpack(label_set.fields) }, at = {}, times = {} }
  for i, label in ipairs(label_set.labels) do
    timed.labels[i], timed.at[label] = label, label_set.at[label]
  end
  for i, label in ipairs(label_set.labels) do
    local field = not label_set.days[i] and 'g' .. label
    timed.times[i] = field
    if field then
      timed.labels[#timed.labels + 1], timed.fields[#timed.fields + 1] = field, field
      timed.at[field] = #timed.fields
    end
  end
  return timed
end

return { read = read, set = set, write = write, with_times = with_times }
