-- Velocity: how many grants, and how much in them, a user may get in a stretch of time, where a namespace limits it.
--
-- What was accepted is kept among the user's balances by the length of the stretch, so that it survives a change of rules:
-- the fields are `r:<µs>:<kind>`.
--   t  the time of each grant, the oldest first: for limits of up to 64 grants. Exact.
--   n  grants in 64 parts of the stretch: for higher limits
--   a  amounts in 64 parts of the stretch
-- A part counts as a whole until all of it is before the stretch. So parts are never looser than the limit, and stricter by
-- less than 1/64 of the stretch. Numbers are seven bytes each, the highest byte first. A text of parts is: the number of the
-- newest part, the sum of all parts, then the parts from the newest to the oldest.
--
--- @lazy
--- @include "include/fields"
--- @include "include/replies"

local call, sub = redis.call, string.sub

local TIMES_MAX = 64 -- of grants that are kept one by one: 448 bytes a user and limit
local PARTS = 64 -- of a stretch: 469 bytes a user and limit
local WIDTH = 7 -- bytes of a number: times and amounts stay below 2^53

-- A number as seven bytes.
local function pack_number(number)
  local low = number % 16777216
  local high = (number - low) / 16777216
  local middle = high % 65536
  local top = (high - middle) / 65536
  return string.char((top - top % 256) / 256, top % 256, (middle - middle % 256) / 256, middle % 256,
    (low - low % 65536) / 65536, (low % 65536 - low % 256) / 256, low % 256)
end

-- The number at an index, counted from 1.
local function unpack_number(text, i)
  local a, b, c, d, e, f, g = string.byte(text, WIDTH * (i - 1) + 1, WIDTH * i)
  return (((((a * 256 + b) * 256 + c) * 256 + d) * 256 + e) * 256 + f) * 256 + g
end

-- The lower of two bounds; nil: none.
local function lower(bound, other)
  return bound and other and math.min(bound, other) or bound or other
end

-- The limits in "<µs> <grants> <amount>,…", one a stretch, with '' for no bound; nil where there are none.
-- { fields = three a limit: times, grants, amounts; then each limit = { per = µs, width = of a part, grants, amount, by_times } }
local function parse_limits(text)
  local limits, by_per = { fields = {} }, {}
  for per, grants, amount in string.gmatch(text, '(%d+) (%d*) (%d*)') do
    local limit = by_per[per]
    if not limit then
      limit = { per = tonumber(per), width = math.ceil(tonumber(per) / PARTS) }
      by_per[per], limits[#limits + 1] = limit, limit
      for _, kind in ipairs({ 't', 'n', 'a' }) do
        limits.fields[#limits.fields + 1] = fields.VELOCITY .. per .. ':' .. kind
      end
    end
    limit.grants, limit.amount = lower(limit.grants, tonumber(grants)), lower(limit.amount, tonumber(amount))
    limit.by_times = limit.grants and limit.grants <= TIMES_MAX
  end
  return limits[1] and limits
end

-- Fills user.velocity, one for each limit. user.fault says what could not be read.
local function read(user, limits)
  local texts, err = replies.try('HMGET', user.key, unpack(limits.fields))
  for i = 1, texts and #limits.fields or 0 do
    if texts[i] and #texts[i] % WIDTH ~= 0 then
      texts, err = nil, limits.fields[i] .. ' is no list of numbers'
      break
    end
  end
  if not texts then
    user.fault = user.fault or user.key .. ': ' .. err
    return
  end
  user.velocity = {}
  for i = 1, #limits do
    local times, grants, amounts = texts[3 * i - 2], texts[3 * i - 1], texts[3 * i]
    user.velocity[i] = { stored = { times, grants, amounts }, times = times, grants_text = grants, amounts_text = amounts }
  end
end

-- The parts of the stretch that ends at a moment: { newest = the number of its newest part, sum, added = what this bundle
-- adds to that part, text = the older parts from the newest to the oldest, age = how many parts the first of them is behind
-- the newest }. O(parts that are over).
local function parts_of(text, limit, at)
  local parts = { newest = math.floor(at / limit.width), sum = 0, added = 0, text = '', age = 0 }
  if text then
    parts.age = math.max(0, parts.newest - unpack_number(text, 1))
    local oldest = math.ceil(parts.newest + 1 - (at - limit.per + 1) / limit.width) - 1
    local count, left = #text / WIDTH - 2, oldest - parts.age + 1
    if left > 0 then
      parts.sum, parts.text = unpack_number(text, 2), sub(text, 2 * WIDTH + 1, (2 + left) * WIDTH)
      for i = left + 1, count do
        parts.sum = parts.sum - unpack_number(text, 2 + i)
      end
    end
  end
  return parts
end

-- The text of parts.
local function parts_text(parts)
  local first, rest = parts.added, parts.text
  if rest ~= '' and parts.age == 0 then
    first, rest = first + unpack_number(rest, 1), sub(rest, WIDTH + 1)
  elseif rest ~= '' then
    rest = string.rep(pack_number(0), parts.age - 1) .. rest
  end
  return pack_number(parts.newest) .. pack_number(parts.sum) .. pack_number(first) .. rest
end

-- Parts from the times that were kept for a lower limit.
local function parts_of_times(times, limit, at)
  local newest, counts, count = math.floor(at / limit.width), {}, #times / WIDTH
  for age = 0, PARTS do
    counts[age] = 0
  end
  for i = 1, count do
    local age = math.min(PARTS, newest - math.floor(unpack_number(times, i) / limit.width))
    counts[age] = counts[age] + 1
  end
  local texts = { pack_number(newest), pack_number(count) }
  for age = 0, PARTS do
    texts[age + 3] = pack_number(counts[age])
  end
  return parts_of(table.concat(texts), limit, at)
end

-- Times from the parts that were kept for a higher limit: each grant gets the latest time it may have had.
local function times_of_parts(text, limit, at)
  local parts, times = parts_of(text, limit, at), {}
  for i = #parts.text / WIDTH, 1, -1 do
    local last = (parts.newest - parts.age - i + 2) * limit.width - 1
    for _ = 1, math.min(TIMES_MAX, unpack_number(parts.text, i)) do
      times[#times + 1] = pack_number(math.min(at, last))
    end
  end
  return table.concat(times)
end

-- Prepares the times or parts of a limit for the stretch that ends at a moment. A bundle has one moment.
local function prepare(record, limit, at)
  if limit.by_times then
    record.times = record.times or (record.grants_text and times_of_parts(record.grants_text, limit, at)) or ''
  elseif limit.grants then
    record.grants = record.grants_text and parts_of(record.grants_text, limit, at)
      or parts_of_times(record.times or '', limit, at)
  end
  record.amounts = limit.amount and parts_of(record.amounts_text, limit, at)
  record.at = at
end

-- Whether a further grant of an amount is within all limits at a moment.
local function is_within(limits, user, amount, at)
  for i = 1, #limits do
    local limit, record = limits[i], user.velocity[i]
    if not record.at then
      prepare(record, limit, at)
    end
    if limit.by_times then
      local i = #record.times / WIDTH - limit.grants + 1
      if i >= 1 and unpack_number(record.times, i) > at - limit.per then
        return false
      end
    elseif record.grants and record.grants.sum + 1 > limit.grants then
      return false
    end
    if record.amounts and record.amounts.sum + math.max(0, amount) > limit.amount then
      return false
    end
  end
  return true
end

local function add_part(parts, number)
  parts.added, parts.sum = parts.added + number, parts.sum + number
end

-- The times with a further one, without those that no later grant is compared with.
local function times_with(times, limit, at)
  local first = math.max(1, #times / WIDTH - limit.grants + 2)
  while first <= #times / WIDTH and unpack_number(times, first) <= at - limit.per do
    first = first + 1
  end
  return sub(times, WIDTH * (first - 1) + 1) .. pack_number(at)
end

-- Counts a grant of an amount.
local function count(limits, user, amount)
  for i = 1, #limits do
    local limit, record = limits[i], user.velocity[i]
    if limit.by_times then
      record.times = times_with(record.times, limit, record.at)
    elseif record.grants then
      add_part(record.grants, 1)
    end
    if record.amounts then
      add_part(record.amounts, math.max(0, amount))
    end
  end
  user.velocity_limits = limits
end

-- Writes what was counted, and deletes the kinds that no limit uses any more: later they would be out of date.
local function write(user)
  local fields, args, deleted = user.velocity_limits.fields, {}, {}
  for i, limit in ipairs(user.velocity_limits) do
    local record = user.velocity[i]
    local texts = {
      limit.by_times and record.times,
      record.grants and parts_text(record.grants),
      record.amounts and parts_text(record.amounts),
    }
    for kind = 1, 3 do
      if texts[kind] then
        args[#args + 1], args[#args + 2] = fields[3 * i - 3 + kind], texts[kind]
      elseif record.stored[kind] then
        deleted[#deleted + 1] = fields[3 * i - 3 + kind]
      end
    end
  end
  call('HSET', user.key, unpack(args))
  if deleted[1] then
    call('HDEL', user.key, unpack(deleted))
  end
end

-- Counts and writes `n` grants of the past, as if each had come at its moment: args[first] is the moment of the oldest, behind
-- it stand its amount and the others. There may be more than one call could hand over.
local function replay(limits, user, args, first, n)
  user.velocity = {}
  for i = 1, #limits do
    user.velocity[i] = { stored = {} }
  end
  for k = first, first + 2 * n - 1, 2 do
    for i, record in ipairs(user.velocity) do
      record.grants_text = record.grants and parts_text(record.grants)
      record.amounts_text = record.amounts and parts_text(record.amounts)
      prepare(record, limits[i], tonumber(args[k]))
    end
    count(limits, user, tonumber(args[k + 1]))
  end
  write(user)
end

return { parse_limits = parse_limits, read = read, is_within = is_within, count = count, write = write, replay = replay }
