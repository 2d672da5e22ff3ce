-- Grant times, where the aggregation is `latest`: for each number of a user, the granted_at (µs) of the grant it comes from.
-- A grant replaces a number unless it is older; of equal times the later entry wins. The times of scores stand in a hash
-- beside the board, also those of hidden users. The time of a label stands beside its balance, in a field with a `g` in front.
--
--- @lazy
--- @include "include/balances"
--- @include "include/fields"
--- @include "include/replies"

local call, LAST = redis.call, balances.LAST

-- Fills board.times by the users' numbers. board.fault says what could not be read.
local function read(board, users, names)
  local values, err = replies.try('HMGET', board.times_key, unpack(names))
  if not values then
    board.fault = board.times_key .. ': ' .. err
    return
  end
  for i = 1, #users do
    local time = values[i] and replies.integer(values[i])
    if values[i] and not time then
      board.fault = board.times_key .. ': a time is not an integer'
      return
    end
    board.times[users[i].number] = time
  end
end

-- Sets a user's time on a board; false or nil: the user has no score there any more.
local function set(board, number, time)
  if board.times[number] ~= (time or nil) then
    board.times[number], board.has_new_time[number] = time or nil, true
  end
end

-- Writes the times that have changed, and deletes those of users who are being erased.
local function write(board, users)
  local args, n, deleted = {}, 0, {}
  for i = 1, #users do
    local user = users[i]
    local time = user.visibility ~= 'erasing' and board.times[user.number]
    if user.visibility == 'erasing' or (board.has_new_time[user.number] and not time) then
      deleted[#deleted + 1] = user.name
    elseif board.has_new_time[user.number] then
      args[n + 1], args[n + 2], n = user.name, time, n + 2
    end
    board.has_new_time[user.number] = nil
  end
  if n > 0 then
    call('HSET', board.times_key, unpack(args))
  end
  if deleted[1] then
    call('HDEL', board.times_key, unpack(deleted))
  end
end

-- A label set with the times of its labels as further labels. time_fields: the field of each label's time; false for a day.
local function with_times(label_set)
  local timed = { labels = {}, dates = label_set.dates, fields = { unpack(label_set.fields) }, index = {}, time_fields = {} }
  for i, label in ipairs(label_set.labels) do
    timed.labels[i], timed.index[label] = label, label_set.index[label]
  end
  for i, label in ipairs(label_set.labels) do
    local field = not label_set.is_day[i] and fields.TIME .. label
    timed.time_fields[i] = field
    if field then
      timed.labels[#timed.labels + 1], timed.fields[#timed.fields + 1] = field, field
      timed.index[field] = #timed.fields
    end
  end
  return timed
end

-- A value and its time after a grant. A value whose time is lost counts as the user's last grant.
local function latest_of(entry, old, time, last)
  time = time or last
  if old and time and entry.granted_at < time then
    return old, time
  end
  return entry.amount, entry.granted_at
end

-- Fills the new scores and labels after a grant, and their times.
local function add_grant(entry, new)
  local user, number, label_set = entry.user, entry.user.number, entry.label_set
  local values, index, boards, labels, last = user.values, user.index, entry.board_set.boards, label_set.labels, user.values[LAST]
  for i = 1, #boards do
    new.scores[i], new.times[i] = latest_of(entry, boards[i].scores[number], boards[i].times[number], last)
  end
  for i = 1, #labels do
    local field = label_set.timed.time_fields[i]
    if field then
      new.labels[i], new.label_times[i] = latest_of(entry, values[index[labels[i]]], values[index[field]], last)
    else
      new.labels[i] = 1
    end
  end
end

return { read = read, set = set, write = write, with_times = with_times, add_grant = add_grant }
