-- How many grants, and how much in them, a user may get in a stretch of time, where a namespace limits it.
--
-- What was accepted stands among the user's balances, by the stretch (`v:<per in µs>:<kind>`), so that a change of rules
-- keeps what still holds. Of up to 64 grants each time is kept (kind t): exact. Above that, grants (n) are counted in 64
-- parts of the stretch, and so are amounts (a), always: a part counts whole until all of it lies before the stretch. That
-- is never looser than the limit, and stricter by less than `per` / 64. Numbers are seven bytes each, the highest first:
-- times are the oldest first; parts are the number of the newest part, what all parts hold, then what each holds, the newest
-- first.
--
--- @include "include/replies"

local call, sub = redis.call, string.sub

local TIMES_MAX = 64 -- of grants that are kept one by one: 448 bytes a user and limit
local PARTS = 64 -- of a stretch: 469 bytes a user and limit
local WIDTH = 7 -- bytes of a number: times and amounts stay below 2^53

local function packed(number)
  local low = number % 16777216
  local high = (number - low) / 16777216
  local middle = high % 65536
  local top = (high - middle) / 65536
  return string.char((top - top % 256) / 256, top % 256, (middle - middle % 256) / 256, middle % 256,
    (low - low % 65536) / 65536, (low % 65536 - low % 256) / 256, low % 256)
end

-- The number at a place, from 1.
local function unpacked(text, place)
  local a, b, c, d, e, f, g = string.byte(text, WIDTH * (place - 1) + 1, WIDTH * place)
  return (((((a * 256 + b) * 256 + c) * 256 + d) * 256 + e) * 256 + f) * 256 + g
end

local function lower(bound, other)
  return bound and other and math.min(bound, other) or bound or other
end

-- The limits of a space: "<per> <grants> <amount>,…" (per in microseconds; '' for no bound), one a stretch; nil where
-- there is none. fields: three a limit, its times, grants and amounts.
local function parse_limits(text)
  local limits, by_per = { fields = {} }, {}
  for per, grants, amount in string.gmatch(text, '(%d+) (%d*) (%d*)') do
    local limit = by_per[per]
    if not limit then
      limit = { per = tonumber(per), width = math.ceil(tonumber(per) / PARTS) }
      by_per[per], limits[#limits + 1] = limit, limit
      for _, kind in ipairs({ 't', 'n', 'a' }) do
        limits.fields[#limits.fields + 1] = 'v:' .. per .. ':' .. kind
      end
    end
    limit.grants, limit.amount = lower(limit.grants, tonumber(grants)), lower(limit.amount, tonumber(amount))
    limit.by_times = limit.grants and limit.grants <= TIMES_MAX
  end
  return limits[1] and limits
end

-- Fills user.pace; user.fault names a key that cannot be read.
local function read(user, limits)
  local found, err = replies.try('HMGET', user.key, unpack(limits.fields))
  for i = 1, found and #limits.fields or 0 do
    if found[i] and #found[i] % WIDTH ~= 0 then
      found, err = nil, limits.fields[i] .. ' is no list of numbers'
      break
    end
  end
  if not found then
    user.fault = user.fault or user.key .. ': ' .. err
    return
  end
  user.velocity = {}
  for i = 1, #limits do
    local times, grants, amounts = found[3 * i - 2], found[3 * i - 1], found[3 * i]
    user.velocity[i] = { found = { times, grants, amounts }, times = times, grants_text = grants, amounts_text = amounts }
  end
end

-- What a user got in the stretch behind an instant: { newest = the number of its newest part, total, added = what comes to
-- that part now, text = what the parts before held, the newest first, age = that of the first of them }. O(parts that left).
local function parts_of(text, limit, at)
  local parts = { newest = math.floor(at / limit.width), total = 0, added = 0, text = '', age = 0 }
  if text then
    parts.age = math.max(0, parts.newest - unpacked(text, 1))
    local oldest = math.ceil(parts.newest + 1 - (at - limit.per + 1) / limit.width) - 1
    local count, kept = #text / WIDTH - 2, oldest - parts.age + 1
    if kept > 0 then
      parts.total, parts.text = unpacked(text, 2), sub(text, 2 * WIDTH + 1, (2 + kept) * WIDTH)
      for place = kept + 1, count do
        parts.total = parts.total - unpacked(text, 2 + place)
      end
    end
  end
  return parts
end

local function parts_text(parts)
  local first, rest = parts.added, parts.text
  if rest ~= '' and parts.age == 0 then
    first, rest = first + unpacked(rest, 1), sub(rest, WIDTH + 1)
  elseif rest ~= '' then
    rest = string.rep(packed(0), parts.age - 1) .. rest
  end
  return packed(parts.newest) .. packed(parts.total) .. packed(first) .. rest
end

-- Parts from the times of grants that a lower limit had kept.
local function parts_of_times(times, limit, at)
  local newest, counts, total = math.floor(at / limit.width), {}, #times / WIDTH
  for age = 0, PARTS do
    counts[age] = 0
  end
  for place = 1, total do
    local age = math.min(PARTS, newest - math.floor(unpacked(times, place) / limit.width))
    counts[age] = counts[age] + 1
  end
  local texts = { packed(newest), packed(total) }
  for age = 0, PARTS do
    texts[age + 3] = packed(counts[age])
  end
  return parts_of(table.concat(texts), limit, at)
end

-- Times from the parts that a higher limit had kept: each grant as late as it may have been.
local function times_of_parts(text, limit, at)
  local parts, times = parts_of(text, limit, at), {}
  for place = #parts.text / WIDTH, 1, -1 do
    local last = (parts.newest - parts.age - place + 2) * limit.width - 1
    for _ = 1, math.min(TIMES_MAX, unpacked(parts.text, place)) do
      times[#times + 1] = packed(math.min(at, last))
    end
  end
  return table.concat(times)
end

-- Has what is held of a limit tell the stretch behind an instant, which is one for the whole batch.
local function look_back(held, limit, at)
  if limit.by_times then
    held.times = held.times or (held.grants_text and times_of_parts(held.grants_text, limit, at)) or ''
  elseif limit.grants then
    held.grants = held.grants_text and parts_of(held.grants_text, limit, at)
      or parts_of_times(held.times or '', limit, at)
  end
  held.amounts = limit.amount and parts_of(held.amounts_text, limit, at)
  held.at = at
end

-- Whether one more grant of an amount is within every limit at an instant.
local function is_within(limits, user, amount, at)
  for i = 1, #limits do
    local limit, held = limits[i], user.velocity[i]
    if not held.at then
      look_back(held, limit, at)
    end
    if limit.by_times then
      local place = #held.times / WIDTH - limit.grants + 1
      if place >= 1 and unpacked(held.times, place) > at - limit.per then
        return false
      end
    elseif held.grants and held.grants.total + 1 > limit.grants then
      return false
    end
    if held.amounts and held.amounts.total + math.max(0, amount) > limit.amount then
      return false
    end
  end
  return true
end

local function add_part(parts, number)
  parts.added, parts.total = parts.added + number, parts.total + number
end

-- The times with one more, without those that no grant will be compared with.
local function times_with(times, limit, at)
  local first = math.max(1, #times / WIDTH - limit.grants + 2)
  while first <= #times / WIDTH and unpacked(times, first) <= at - limit.per do
    first = first + 1
  end
  return sub(times, WIDTH * (first - 1) + 1) .. packed(at)
end

local function count(limits, user, amount)
  for i = 1, #limits do
    local limit, held = limits[i], user.velocity[i]
    if limit.by_times then
      held.times = times_with(held.times, limit, held.at)
    elseif held.grants then
      add_part(held.grants, 1)
    end
    if held.amounts then
      add_part(held.amounts, math.max(0, amount))
    end
  end
  user.velocity_limits = limits
end

-- Of times and parts only those that are kept on stay: what stood still would be taken for what is.
local function write(user)
  local fields, args, gone = user.velocity_limits.fields, {}, {}
  for i, limit in ipairs(user.velocity_limits) do
    local held = user.velocity[i]
    local texts = {
      limit.by_times and held.times,
      held.grants and parts_text(held.grants),
      held.amounts and parts_text(held.amounts),
    }
    for kind = 1, 3 do
      if texts[kind] then
        args[#args + 1], args[#args + 2] = fields[3 * i - 3 + kind], texts[kind]
      elseif held.found[kind] then
        gone[#gone + 1] = fields[3 * i - 3 + kind]
      end
    end
  end
  call('HSET', user.key, unpack(args))
  if gone[1] then
    call('HDEL', user.key, unpack(gone))
  end
end

return { parse_limits = parse_limits, read = read, is_within = is_within, count = count, write = write }
