-- Computes the new values of what an entry touches, before it is decided whether the entry applies.
--
-- A grant changes each board of its board set, and each of its labels, by the namespace's aggregation. A correction says by
-- its ops what becomes of each: `<what><place><how><number>`, one after the other.
--   what    w: the board at that place in the board set; l: the label at that place in the label set
--   how     =: becomes the number; +: changes by it; x: is deleted
--   @<µs>   behind a number: its grant time (include/grant_times)
--   ~<d>    behind that: its prefix, where ties go by granted_at (include/tie_break)
--   a=<µs>  the user's last granted_at (ax: none); a+<µs>: at least that; @<µs> behind it: what it was, else it stays
-- The ops also say for which state of the user the correction was planned:
--   u=<seq>  the user's last change has this seq
--   f=       the user's last change is the entry just before this one
--   g=<seq>  only grants came after this seq. It is used where nothing is deleted, and where the change of a sum is the same
--            whatever else was granted
-- Ops of other entries: `b` is a backfill, which counts as a grant; `t…` is a heal, which goes on as a correction does; a seal
-- (`s…`, include/closed_windows) and a visibility entry (`h…`, include/visibility) change no values.
--
--- @include "include/balances"
--- @include "include/fields"
--- @include "include/replies"
--- @include "include/tie_break"

local call, integer, LAST, SEQ = redis.call, replies.integer, balances.LAST, balances.SEQ

local VALUE_MAX = 999999999999999 -- up to it, sums of two values are exact, and Redis prints all digits

local function value_after(old, how, number)
  if how == '+' then
    return (old or 0) + number
  end
  return how == '=' and number
end

local function time_after(how, time, old)
  return how ~= 'x' and (tonumber(time) or old)
end

-- The user's last granted_at after an `a`.
local function last_after(last, how, moment, was)
  if how == '+' then
    return last and math.max(last, moment) or moment
  elseif was and last ~= was then
    return last
  end
  return how == '=' and moment
end

-- Whether only grants changed the user after `seq`. was: the last granted_at when the correction was planned, where it goes
-- back: a later grant of the same moment, or an earlier one, would not be seen in it, so it must have changed.
local function has_only_grants_since(user, seq, was)
  local last_seq = user.values[SEQ] or 0
  if last_seq <= seq then
    return last_seq > 0
  end
  local corrected_seq = user.corrected_seq or integer(call('HGET', user.key, fields.CORRECTED), 0)
  return corrected_seq and corrected_seq <= seq and not (was and user.values[LAST] == was)
end

-- The values as they are.
local function copy_old_values(entry, new)
  local number, values, boards, index = entry.user.number, entry.user.values, entry.board_set.boards, entry.user.index
  local labels, namespace = entry.label_set.labels, entry.board_set.namespace
  for i = 1, #boards do
    new.scores[i] = boards[i].scores[number]
    new.times[i] = namespace.latest and boards[i].times[number]
    new.prefixes[i] = namespace.by_granted_at and (boards[i].prefixes[number] or false)
  end
  for i = 1, #labels do
    new.labels[i] = values[index[labels[i]]]
  end
  for i, field in ipairs(namespace.latest and entry.label_set.timed.time_fields or {}) do
    new.label_times[i] = field and values[index[field]]
  end
  new.last = values[LAST]
end

-- Computes by ops. nil, or 'stale_user' where the user has changed since the ops were planned.
local function run_ops(entry, new)
  local user, namespace = entry.user, entry.board_set.namespace
  local values, latest, by_granted_at, was = user.values, namespace.latest, namespace.by_granted_at, nil
  copy_old_values(entry, new)
  for what, place, how, number, time, prefix in
    string.gmatch(entry.ops, '(%l)(%d*)([=+x])(%-?%d*)@?(%-?%d*)~?(%d*)') do
    place, number = tonumber(place), tonumber(number)
    if what == 'w' then
      new.scores[place] = value_after(new.scores[place], how, number)
      new.times[place] = latest and time_after(how, time, new.times[place])
      new.prefixes[place] = by_granted_at and how ~= 'x' and (prefix ~= '' and prefix or new.prefixes[place])
    elseif what == 'l' then
      new.labels[place] = value_after(new.labels[place], how, number)
      new.label_times[place] = latest and time_after(how, time, new.label_times[place])
    elseif what == 'a' then
      was = tonumber(time)
      new.last = last_after(values[LAST], how, number, was)
    elseif what == 'f' then
      if user.last_entry ~= entry.number - 1 then
        return 'stale_user'
      end
    elseif what == 'g' then
      if not has_only_grants_since(user, number, was) then
        return 'stale_user'
      end
    elseif (values[SEQ] or 0) ~= number then
      return 'stale_user'
    end
  end
  return nil
end

-- A value and its time after a grant. A value whose time is lost counts as the user's last grant.
local function latest_of(entry, old, time, last)
  time = time or last
  if old and time and entry.granted_at < time then
    return old, time
  end
  return entry.amount, entry.granted_at
end

local function add_latest_grant(entry, new)
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

local function set_prefixes(entry, new)
  local number, boards = entry.user.number, entry.board_set.boards
  local own = tie_break.grant_prefix(entry.granted_at, entry.seq)
  for i = 1, #boards do
    local board, is_latest = boards[i], new.times[i] == entry.granted_at
    new.prefixes[i] =
      tie_break.prefix_after(entry, own, board.prefixes[number], board.scores[number], new.scores[i], is_latest)
  end
end

local function add_grant(entry, new)
  local user, amount, namespace = entry.user, entry.amount, entry.board_set.namespace
  local number, values, index = user.number, user.values, user.index
  local boards, labels = entry.board_set.boards, entry.label_set.labels
  new.last = values[LAST]
  if not new.last or entry.granted_at > new.last then
    new.last = entry.granted_at
  end
  if namespace.latest then
    add_latest_grant(entry, new)
  else
    local merge, is_day, scores, label_values = namespace.merge, entry.label_set.is_day, new.scores, new.labels
    for i = 1, #boards do
      local old = boards[i].scores[number]
      scores[i] = old and merge(old, amount) or amount
    end
    for i = 1, #labels do
      local old = values[index[labels[i]]]
      label_values[i] = is_day[i] and 1 or old and merge(old, amount) or amount
    end
  end
  if namespace.by_granted_at then
    set_prefixes(entry, new)
  end
end

local function all_fit(values, count)
  for i = 1, count do
    local value = values[i]
    if value and (value > VALUE_MAX or value < -VALUE_MAX) then
      return false
    end
  end
  return true
end

-- Fills `new` with the values after an entry: scores, times and prefixes by board, labels and label_times by label, last. nil,
-- or the code of a refusal.
local function compute(entry, new)
  if entry.ops == '' or entry.ops == 'b' then
    add_grant(entry, new)
  else
    local refusal = run_ops(entry, new)
    if refusal then
      return refusal
    end
  end
  if all_fit(new.scores, #entry.board_set.boards) and all_fit(new.labels, #entry.label_set.labels) then
    return nil
  end
  return 'score_overflow'
end

return compute
