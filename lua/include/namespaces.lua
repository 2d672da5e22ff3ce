-- The hash of a namespace: the version of each board and its totals (include/board_totals), the state of each closed
-- window (include/closed_windows), the categories and sources that exist and how many there are, a mark while somebody
-- is hidden, and the counts of quotas (include/quotas).
--
--- @include "include/fields"
--- @include "include/replies"

local sub, integer, FIELDS_A_CALL_MAX = string.sub, replies.integer, replies.FIELDS_A_CALL_MAX

local LABELS_MAX = 1000 -- categories, and sources, of a namespace
local FIRST_FIELDS = 6 -- fields that are always read: counts and the mark

-- Fills what a bundle needs to know of a namespace. namespace.fault says what could not be read.
local function read(namespace)
  local names = { fields.CATEGORY_COUNT, fields.SOURCE_COUNT, fields.HIDDEN_MARK, fields.USER_COUNT, fields.BOARD_COUNT,
                  fields.LOG_COUNT, unpack(namespace.labels) }
  local labels = #namespace.labels
  for i, window in ipairs(namespace.windows) do
    names[FIRST_FIELDS + labels + i] = fields.WINDOW_STATE .. window
  end
  local values, err = replies.try('HMGET', namespace.key, unpack(names))
  if not values then
    namespace.fault = namespace.key .. ': ' .. err
    return
  end
  namespace.label_counts = { c = integer(values[1], 0), s = integer(values[2], 0) }
  if not (namespace.label_counts.c and namespace.label_counts.s) then
    namespace.fault = namespace.key .. ': a count is not an integer'
    return
  end
  namespace.has_hidden = values[3]
  namespace.quota_fields = { values[4], values[5], values[6] }
  for i, label in ipairs(namespace.labels) do
    namespace.has_label[label] = values[FIRST_FIELDS + i]
  end
  for i, window in ipairs(namespace.windows) do
    local state = values[FIRST_FIELDS + labels + i]
    namespace.window_states[window] = state and sub(state, 1, 1)
  end
end

-- Sets a field when the bundle is written.
local function set(namespace, field, value)
  local n = #namespace.changed_fields
  namespace.changed_fields[n + 1], namespace.changed_fields[n + 2] = field, value
end

-- Writes fields, each followed by its value, in as many calls as it takes. How many of them are new.
local function write_fields(namespace, pairs_of_fields)
  local added = 0
  for first = 1, #pairs_of_fields, FIELDS_A_CALL_MAX do
    local last = math.min(first + FIELDS_A_CALL_MAX - 1, #pairs_of_fields)
    added = added + redis.call('HSET', namespace.key, unpack(pairs_of_fields, first, last))
  end
  return added
end

-- Whether the namespace has room for a label, `c:…` or `s:…`. Days have no limit.
local function has_room(namespace, label)
  local count = namespace.label_counts[sub(label, 1, 1)]
  return not count or namespace.has_label[label] or count < LABELS_MAX
end

-- Adds a label that the namespace may not have had.
local function add_label(namespace, label)
  local kind = sub(label, 1, 1)
  local count = namespace.label_counts[kind]
  if count and not namespace.has_label[label] then
    namespace.has_label[label], namespace.label_counts[kind] = true, count + 1
    set(namespace, label, 1)
    set(namespace, kind == 'c' and fields.CATEGORY_COUNT or fields.SOURCE_COUNT, count + 1)
  end
end

return { read = read, set = set, write_fields = write_fields, has_room = has_room, add_label = add_label }
