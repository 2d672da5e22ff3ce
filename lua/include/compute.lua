-- Computes the new values of what an entry touches, before it is decided whether the entry applies.
--
-- A grant changes each board of its board set, and each of its labels, by the namespace's aggregation. A correction says by
-- its ops what becomes of each (include/cell_ops). The letter in front of the ops names the kind (include/entry_kinds): heals
-- and retries go on as corrections do; a seal and a visibility entry change no values. app/model/ops.py writes this text.
--
--- @include "include/balances"
--- @include "include/cell_ops"
--- @include "include/grant_times"
--- @include "include/tie_break"

local LAST = balances.LAST

local VALUE_MAX = 999999999999999 -- up to it, sums of two values are exact, and Redis prints all digits

local function add_grant(entry, new)
  local user, amount, namespace = entry.user, entry.amount, entry.board_set.namespace
  local number, values, index = user.number, user.values, user.index
  local boards, labels = entry.board_set.boards, entry.label_set.labels
  new.last = values[LAST]
  if not new.last or entry.granted_at > new.last then
    new.last = entry.granted_at
  end
  if namespace.keeps_times then
    grant_times.add_grant(entry, new)
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
    tie_break.set_prefixes(entry, new)
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
  if entry.kind.is_grant then
    add_grant(entry, new)
  else
    local refusal = cell_ops.run(entry, new)
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
