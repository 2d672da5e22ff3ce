-- What the numbers that an entry touches will be: worked out before it is judged, taken over when it is applied.
--
-- A grant moves every board of its target and its labels by the space's merge. A correction says what is to become of
-- each: `<what><place><how><number>` …, what: w (the target's board at that place) or l (the shape's label), how: = (is
-- to be), + (moves by) or x (is gone); where times are kept (include/grant_times) `@<time>` follows a number that is to be, where
-- the line goes by moments (include/tie_break) `~<digits>` a score. a=… is the last granted_at (ax: none), a+… one that it is at
-- least, `@<moment>` behind a=… the one that it was; u=… the seq of the user's last change that it was planned upon, f= that
-- this is the entry right before it. g=… is less: grants may have come after that seq, but nothing else; it stands where no
-- number is to go, and where what is moved by a sum is moved alike whatever else was granted. A t in front marks what takes a
-- duplicate back; b alone is a grant that an admin lets in behind a seal, s… a seal (include/closed_windows); `h` and a
-- version shows, hides or erases a user (include/visibility): both move no number.
--
--- @include "include/replies"
--- @include "include/tie_break"

local call = redis.call

local after = { scores = {}, times = {}, prefixes = {}, labels = {}, label_times = {}, last = false }

local function moved(old, how, number)
  if how == '+' then
    return (old or 0) + number
  end
  return how == '=' and number
end

-- The times as they are, of boards and labels.
local function keep_times(entry)
  local number, held, boards, at = entry.user.number, entry.user.values, entry.board_set.boards, entry.user.at
  for i = 1, #boards do
    after.times[i] = boards[i].times[number]
  end
  for i, field in ipairs(entry.label_set.timed.times) do
    after.label_times[i] = field and held[at[field]]
  end
end

-- The user's last change that was no grant; 0 where there was none.
local function corrected_at(user)
  return user.corrected or replies.integer(call('HGET', user.key, 'corrected'), 0)
end

-- Whether a plan that was made upon `seq` holds although there may be grants since. was: the last granted_at as it was
-- then, where it falls: who granted at that moment or before it since would not be seen.
local function holds_loosely(user, seq, was)
  local changed = user.values[4] or 0
  if changed <= seq then
    return changed > 0
  end
  local corrected = corrected_at(user)
  return corrected and corrected <= seq and not (was and user.values[3] == was)
end

-- The last granted_at after an `a`.
local function last_after(last, how, moment, was)
  if how == '+' then
    return last and math.max(last, moment) or moment
  elseif was and last ~= was then
    return last
  end
  return how == '=' and moment
end

local function time_after(how, time, held)
  return how ~= 'x' and (tonumber(time) or held)
end

-- 'stale_user' where the user has changed since the plan, else nil.
local function work_out_moves(entry)
  local number, held, boards, labels = entry.user.number, entry.user.values, entry.board_set.boards, entry.label_set.labels
  for i = 1, #boards do
    after.scores[i] = boards[i].scores[number]
  end
  for i = 1, #labels do
    after.labels[i] = held[entry.user.at[labels[i]]]
  end
  after.last = held[3]
  local timed = entry.board_set.namespace.latest
  if timed then
    keep_times(entry)
  end
  local by_granted_at, was = entry.board_set.namespace.by_granted_at, nil
  for i = 1, by_granted_at and #boards or 0 do
    after.prefixes[i] = boards[i].prefixes[number] or false
  end
  for what, place, how, value, time, prefix in
    string.gmatch(entry.ops, '(%l)(%d*)([=+x])(%-?%d*)@?(%-?%d*)~?(%d*)') do
    place, value = tonumber(place), tonumber(value)
    if what == 'w' then
      after.scores[place] = moved(after.scores[place], how, value)
      after.times[place] = timed and time_after(how, time, after.times[place])
      after.prefixes[place] = by_granted_at and how ~= 'x' and (prefix ~= '' and prefix or after.prefixes[place])
    elseif what == 'l' then
      after.labels[place] = moved(after.labels[place], how, value)
      after.label_times[place] = timed and time_after(how, time, after.label_times[place])
    elseif what == 'a' then
      was = tonumber(time)
      after.last = last_after(held[3], how, value, was)
    elseif what == 'f' then
      if entry.user.last_entry ~= entry.number - 1 then
        return 'stale_user'
      end
    elseif what == 'g' then
      if not holds_loosely(entry.user, value, was) then
        return 'stale_user'
      end
    elseif (held[4] or 0) ~= value then
      return 'stale_user'
    end
  end
  return nil
end

-- A number and its time after a grant. A number whose time is lost is held to be of the last grant there was.
local function newer(entry, old, time, last)
  time = time or last
  if old and time and entry.granted_at < time then
    return old, time
  end
  return entry.amount, entry.granted_at
end

local function work_out_latest(entry)
  local user, number, label_set = entry.user, entry.user.number, entry.label_set
  local held, at, boards, labels, last = user.values, user.at, entry.board_set.boards, label_set.labels, user.values[3]
  for i = 1, #boards do
    after.scores[i], after.times[i] = newer(entry, boards[i].scores[number], boards[i].times[number], last)
  end
  for i = 1, #labels do
    local old, field = held[at[labels[i]]], label_set.timed.times[i]
    if field then
      after.labels[i], after.label_times[i] = newer(entry, old, held[at[field]], last)
    else
      after.labels[i] = 1
    end
  end
end

local function line_up(entry)
  local number, boards = entry.user.number, entry.board_set.boards
  local own = tie_break.grant_prefix(entry.granted_at, entry.seq)
  for i = 1, #boards do
    local board, is_latest = boards[i], after.times[i] == entry.granted_at
    after.prefixes[i] =
      tie_break.prefix_after(entry, own, board.prefixes[number], board.scores[number], after.scores[i], is_latest)
  end
end

local function work_out_grant(entry)
  local user, amount, namespace = entry.user, entry.amount, entry.board_set.namespace
  local number, held, boards, labels = user.number, user.values, entry.board_set.boards, entry.label_set.labels
  after.last = held[3]
  if not after.last or entry.granted_at > after.last then
    after.last = entry.granted_at
  end
  if namespace.latest then
    work_out_latest(entry)
    return namespace.by_granted_at and line_up(entry)
  end
  local merge, days, scores = namespace.merge, entry.label_set.days, after.scores
  for i = 1, #boards do
    local old = boards[i].scores[number]
    scores[i] = old and merge(old, amount) or amount
  end
  for i = 1, #labels do
    local old = held[user.at[labels[i]]]
    after.labels[i] = days[i] and 1 or old and merge(old, amount) or amount
  end
  return namespace.by_granted_at and line_up(entry)
end

local function run(entry)
  local ops = entry.ops
  return ((ops == '' or ops == 'b') and work_out_grant or work_out_moves)(entry)
end

local function all_in_bounds(numbers, count)
  for i = 1, count do
    local number = numbers[i]
    if number and (number > 999999999999999 or number < -999999999999999) then
      return false
    end
  end
  return true
end

-- Whether every number that was worked out stays within ±(10^15 − 1), where doubles are exact.
local function fits(entry)
  return all_in_bounds(after.scores, #entry.board_set.boards) and all_in_bounds(after.labels, #entry.label_set.labels)
end

return { result = after, run = run, fits = fits }
