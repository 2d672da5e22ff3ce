-- What is kept once a namespace: the version of each board (`v:…`), its sums (`t:…`, include/board_totals), which windows are
-- closed (`x:…`: `s`, or `a` and the version of an archived window's boards), its distinct categories and sources (`c:…`,
-- `s:…`), at most 1,000 of each, and how many there are (`#c`, `#s`); `#h` while somebody is hidden in it (include/visibility); what
-- its quotas count (`#u`, `#b`, `#l`, include/quotas).
--
--- @include "include/replies"

local sub = string.sub

local FIRST_LABEL = 6 -- of the fields that are read: counts and the mark stand before

local function read(namespace)
  local fields = { '#c', '#s', '#h', '#u', '#b', '#l', unpack(namespace.labels) }
  for i, window in ipairs(namespace.windows) do
    fields[FIRST_LABEL + #namespace.labels + i] = 'x:' .. window
  end
  local found, err = replies.try('HMGET', namespace.key, unpack(fields))
  if not found then
    namespace.fault = namespace.key .. ': ' .. err
    return
  end
  namespace.count = { c = replies.integer(found[1], 0), s = replies.integer(found[2], 0) }
  if not (namespace.count.c and namespace.count.s) then
    namespace.fault = namespace.key .. ': a count is not an integer'
    return
  end
  namespace.has_hidden = found[3]
  namespace.counts = { found[4], found[5], found[6] }
  for i, label in ipairs(namespace.labels) do
    namespace.known[label] = found[FIRST_LABEL + i]
  end
  for i, window in ipairs(namespace.windows) do
    local closed = found[FIRST_LABEL + #namespace.labels + i]
    namespace.window_states[window] = closed and sub(closed, 1, 1)
  end
end

local function set(namespace, field, value)
  local n = #namespace.changed_fields
  namespace.changed_fields[n + 1], namespace.changed_fields[n + 2] = field, value
end

-- Whether the namespace has room for `label`: `c:…` or `s:…`; days are not counted.
local function has_room(namespace, label)
  local count = namespace.count[sub(label, 1, 1)]
  return not count or namespace.known[label] or count < 1000
end

local function add_label(namespace, label)
  local kind = sub(label, 1, 1)
  if namespace.count[kind] and not namespace.known[label] then
    namespace.known[label] = true
    namespace.count[kind] = namespace.count[kind] + 1
    set(namespace, label, 1)
    set(namespace, '#' .. kind, namespace.count[kind])
  end
end

return { read = read, set = set, has_room = has_room, add_label = add_label }
