-- The days on which a user has a live grant, where their namespace keeps streaks: a hash of stretches of 512 days each,
-- `<number of the stretch>` → its days as bits, the lowest first; bytes that hold none are left out at the end. Day 1 is
-- 0001-01-01. Among a user's numbers (include/balances) a day stands under its own label, `d:<date>`: 1, or false.
--
--- @include "include/replies"

local call, format, match, sub = redis.call, string.format, string.match, string.sub

local STRETCH_DAYS = 512 -- 64 bytes: a small hash keeps its fields in one piece as long as none is longer

local day_places = {} -- label → stretch, byte and bit; a batch has few days

local function place_of_day(label)
  local place = day_places[label]
  if not place then
    local year, month, day = match(label, '^d:(%d+)-(%d+)-(%d+)$')
    local y, m, floor = tonumber(year), tonumber(month), math.floor
    if m < 3 then
      y, m = y - 1, m + 12
    end
    local number = tonumber(day) + floor((153 * m - 457) / 5) + 365 * y + floor(y / 4) - floor(y / 100) + floor(y / 400) - 306
    local within = number % STRETCH_DAYS
    place = { stretch = format('%d', floor(number / STRETCH_DAYS)), byte = floor(within / 8) + 1, bit = 2 ^ (within % 8) }
    day_places[label] = place
  end
  return place
end

local function has_day(bits, place)
  local byte = bits and string.byte(bits, place.byte)
  return byte and math.floor(byte / place.bit) % 2 == 1 and 1 or false
end

-- Fills user.held of the days of user.dates; user.fault names a key that holds something else.
local function read(user)
  local stretches, bits = {}, {}
  for _, label in ipairs(user.dates) do
    local stretch = place_of_day(label).stretch
    if bits[stretch] == nil then
      bits[stretch], stretches[#stretches + 1] = false, stretch
    end
  end
  local found, err = replies.try('HMGET', user.days_key, unpack(stretches))
  if not found then
    user.fault = user.days_key .. ': ' .. err
    return
  end
  for i, stretch in ipairs(stretches) do
    bits[stretch] = found[i]
    if found[i] and #found[i] > STRETCH_DAYS / 8 then
      user.fault = user.days_key .. ': ' .. stretch .. ' is no stretch of days'
      return
    end
  end
  for _, label in ipairs(user.dates) do
    local place = place_of_day(label)
    user.values[label] = has_day(bits[place.stretch], place)
  end
  user.bits = bits
end

-- The bits with one day turned over.
local function with_day_turned(bits, place)
  local last, at = math.max(bits and #bits or 0, place.byte), place.byte
  bits = (bits or '') .. string.rep('\0', last - #(bits or ''))
  local byte = string.byte(bits, at)
  byte = byte + (math.floor(byte / place.bit) % 2 == 1 and -place.bit or place.bit)
  bits = sub(bits, 1, at - 1) .. string.char(byte) .. sub(bits, at + 1)
  while string.byte(bits, last) == 0 do
    last = last - 1
  end
  return sub(bits, 1, last)
end

-- The stretches whose days have changed; one without any goes.
local function write(user)
  local changed
  for _, label in ipairs(user.dates) do
    local place = place_of_day(label)
    if has_day(user.bits[place.stretch], place) ~= user.values[label] then
      user.bits[place.stretch] = with_day_turned(user.bits[place.stretch], place)
      changed = changed or {}
      changed[place.stretch] = true
    end
  end
  if not changed then
    return
  end
  local args, gone = {}, {}
  for stretch in pairs(changed) do
    if user.bits[stretch] == '' then
      gone[#gone + 1] = stretch
    else
      args[#args + 1], args[#args + 2] = stretch, user.bits[stretch]
    end
  end
  if args[1] then
    call('HSET', user.days_key, unpack(args))
  end
  if gone[1] then
    call('HDEL', user.days_key, unpack(gone))
  end
end

return { read = read, write = write }
