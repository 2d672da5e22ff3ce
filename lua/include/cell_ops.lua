-- Computes the new values of an entry by its ops, which say what becomes of each board and label:
-- `<what><index><how><number>`, one after the other.
--   what    w: the board of that index in the board set; l: the label of that index in the label set
--   how     =: becomes the number; +: changes by it; x: is deleted
--   @<µs>   behind a number: its grant time (include/grant_times)
--   ~<d>    behind that: its prefix, where ties go by granted_at (include/tie_break)
--   a=<µs>  the user's last granted_at (ax: none); a+<µs>: at least that; @<µs> behind it: what it was, else it stays
-- The ops also say for which state of the user the correction was planned:
--   u=<seq>  the user's last change has this seq
--   f=       the user's last change is the entry just before this one
--   g=<seq>  only grants came after this seq. It is used where nothing is deleted, and where the change of a sum is the same
--            whatever else was granted
--
--- @lazy
--- @include "include/balances"
--- @include "include/fields"
--- @include "include/replies"

local call, integer, LAST, SEQ = redis.call, replies.integer, balances.LAST, balances.SEQ

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

local function copy_old_times(entry, new)
  local number, values, boards, index = entry.user.number, entry.user.values, entry.board_set.boards, entry.user.index
  for i = 1, #boards do
    new.times[i] = boards[i].times[number]
  end
  for i, field in ipairs(entry.label_set.timed.time_fields) do
    new.label_times[i] = field and values[index[field]]
  end
end

-- The values as they are.
local function copy_old_values(entry, new)
  local user, namespace, boards, labels = entry.user, entry.board_set.namespace, entry.board_set.boards, entry.label_set.labels
  local number, values, scores = user.number, user.values, new.scores
  for i = 1, #boards do
    scores[i] = boards[i].scores[number]
  end
  for i = 1, #labels do
    new.labels[i] = values[user.index[labels[i]]]
  end
  if namespace.keeps_times then
    copy_old_times(entry, new)
  end
  for i = 1, namespace.by_granted_at and #boards or 0 do
    new.prefixes[i] = boards[i].prefixes[number] or false
  end
  new.last = values[LAST]
end

-- Computes by ops. nil, or 'stale_user' where the user has changed since the ops were planned.
local function run_ops(entry, new)
  local user, namespace = entry.user, entry.board_set.namespace
  local values, scores, was = user.values, new.scores, nil
  local keeps_times, by_granted_at = namespace.keeps_times, namespace.by_granted_at
  copy_old_values(entry, new)
  for what, index, how, number, time, prefix in
    string.gmatch(entry.ops, '(%l)(%d*)([=+x])(%-?%d*)@?(%-?%d*)~?(%d*)') do
    index, number = tonumber(index), tonumber(number)
    if what == 'w' then
      scores[index] = value_after(scores[index], how, number)
      if keeps_times then
        new.times[index] = time_after(how, time, new.times[index])
      end
      if by_granted_at then
        new.prefixes[index] = how ~= 'x' and (prefix ~= '' and prefix or new.prefixes[index])
      end
    elseif what == 'l' then
      new.labels[index] = value_after(new.labels[index], how, number)
      if keeps_times then
        new.label_times[index] = time_after(how, time, new.label_times[index])
      end
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

return { run = run_ops }
