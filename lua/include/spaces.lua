-- What is kept once a namespace: the version of each board (`v:…`), its sums (`t:…`, include/tally), which windows are
-- closed (`x:…`: `s`, or `a` and the version of an archived window's boards), its distinct categories and sources (`c:…`,
-- `s:…`), at most 1,000 of each, and how many there are (`#c`, `#s`); `#h` while somebody is hidden in it (include/veil); what
-- its quotas count (`#u`, `#b`, `#l`, include/quota).

local FIRST_LABEL = 6 -- of the fields that are read: counts and the mark stand before

local function read_space(space)
  local fields = { '#c', '#s', '#h', '#u', '#b', '#l', unpack(space.labels) }
  for i, window in ipairs(space.windows) do
    fields[FIRST_LABEL + #space.labels + i] = 'x:' .. window
  end
  local found, err = try('HMGET', space.key, unpack(fields))
  if not found then
    space.fault = space.key .. ': ' .. err
    return
  end
  space.count = { c = integer(found[1], 0), s = integer(found[2], 0) }
  if not (space.count.c and space.count.s) then
    space.fault = space.key .. ': a count is not an integer'
    return
  end
  space.hides = found[3]
  space.counts = { found[4], found[5], found[6] }
  for i, label in ipairs(space.labels) do
    space.known[label] = found[FIRST_LABEL + i]
  end
  for i, window in ipairs(space.windows) do
    local closed = found[FIRST_LABEL + #space.labels + i]
    space.closed[window] = closed and sub(closed, 1, 1)
  end
end

local function set(space, field, value)
  local n = #space.changed
  space.changed[n + 1], space.changed[n + 2] = field, value
end

-- Whether the namespace has room for `label`: `c:…` or `s:…`; days are not counted.
local function has_room(space, label)
  local count = space.count[sub(label, 1, 1)]
  return not count or space.known[label] or count < 1000
end

local function add_label(space, label)
  local kind = sub(label, 1, 1)
  if space.count[kind] and not space.known[label] then
    space.known[label] = true
    space.count[kind] = space.count[kind] + 1
    set(space, label, 1)
    set(space, '#' .. kind, space.count[kind])
  end
end
