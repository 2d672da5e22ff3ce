-- The days on which a user has a live grant, where their namespace keeps streaks. They are bits in a hash of the user:
-- `<stretch>` -> its days. A stretch is 512 days; its bits are bytes, the lowest bit first, without empty bytes at the end.
-- Day 1 is 0001-01-01. Among the values of a user (include/balances) a day stands under its label `d:<date>`: 1 or false.
--
--- @lazy
--- @include "include/replies"

local call, format, match, sub = redis.call, string.format, string.match, string.sub

local STRETCH_DAYS = 512 -- 64 bytes: Redis keeps a small hash in one piece while no field is longer

local spots = {} -- label -> its stretch, byte and bit; a bundle has few days

local function spot_of(label)
  local spot = spots[label]
  if not spot then
    local year, month, day = match(label, '^d:(%d+)-(%d+)-(%d+)$')
    local y, m, floor = tonumber(year), tonumber(month), math.floor
    if m < 3 then
      y, m = y - 1, m + 12
    end
    local number = tonumber(day) + floor((153 * m - 457) / 5) + 365 * y + floor(y / 4) - floor(y / 100) + floor(y / 400) - 306
    local bit = number % STRETCH_DAYS
    spot = { stretch = format('%d', floor(number / STRETCH_DAYS)), byte = floor(bit / 8) + 1, bit = 2 ^ (bit % 8) }
    spots[label] = spot
  end
  return spot
end

local function has_day(bits, spot)
  local byte = bits and string.byte(bits, spot.byte)
  return byte and math.floor(byte / spot.bit) % 2 == 1 and 1 or false
end

-- Fills user.values of the days in user.dates, and user.day_bits. user.fault says what could not be read.
local function read(user)
  local stretches, bits = {}, {}
  for _, label in ipairs(user.dates) do
    local stretch = spot_of(label).stretch
    if bits[stretch] == nil then
      bits[stretch], stretches[#stretches + 1] = false, stretch
    end
  end
  local values, err = replies.try('HMGET', user.days_key, unpack(stretches))
  if not values then
    user.fault = user.days_key .. ': ' .. err
    return
  end
  for i, stretch in ipairs(stretches) do
    bits[stretch] = values[i]
    if values[i] and #values[i] > STRETCH_DAYS / 8 then
      user.fault = user.days_key .. ': ' .. stretch .. ' is no stretch of days'
      return
    end
  end
  for _, label in ipairs(user.dates) do
    local spot = spot_of(label)
    user.values[label] = has_day(bits[spot.stretch], spot)
  end
  user.day_bits = bits
end

-- The bits with one day flipped.
local function flip(bits, spot)
  local last, at = math.max(bits and #bits or 0, spot.byte), spot.byte
  bits = (bits or '') .. string.rep('\0', last - #(bits or ''))
  local byte = string.byte(bits, at)
  byte = byte + (math.floor(byte / spot.bit) % 2 == 1 and -spot.bit or spot.bit)
  bits = sub(bits, 1, at - 1) .. string.char(byte) .. sub(bits, at + 1)
  while string.byte(bits, last) == 0 do
    last = last - 1
  end
  return sub(bits, 1, last)
end

-- Writes the stretches whose days have changed, and deletes those without a day.
local function write(user)
  local changed
  for _, label in ipairs(user.dates) do
    local spot = spot_of(label)
    local stretch = spot.stretch
    if has_day(user.day_bits[stretch], spot) ~= user.values[label] then
      user.day_bits[stretch] = flip(user.day_bits[stretch], spot)
      changed = changed or {}
      changed[stretch] = true
    end
  end
  if not changed then
    return
  end
  local args, deleted = {}, {}
  for stretch in pairs(changed) do
    if user.day_bits[stretch] == '' then
      deleted[#deleted + 1] = stretch
    else
      args[#args + 1], args[#args + 2] = stretch, user.day_bits[stretch]
    end
  end
  if args[1] then
    call('HSET', user.days_key, unpack(args))
  end
  if deleted[1] then
    call('HDEL', user.days_key, unpack(deleted))
  end
end

return { read = read, write = write }
