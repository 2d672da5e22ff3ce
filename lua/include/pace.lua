-- How fast a user may be granted points, where a namespace bounds it: for each limit a bucket of time and the one before,
-- `<bucket> <grants> <amount> <grants before> <amount before>`, kept among the user's balances (`v:<place>`).
-- What lies in the stretch behind an instant is taken as this bucket's, and the older one's share that reaches into it.

-- The limits of a space: "<per> <grants> <amount>,…" (per in microseconds; '' for no bound); nil where there is none.
local function limits_of(text)
  local limits
  for per, grants, amount in string.gmatch(text, '(%d+) (%d*) (%d*)') do
    limits = limits or { fields = {} }
    limits[#limits + 1] = { per = tonumber(per), grants = tonumber(grants), amount = tonumber(amount) }
    limits.fields[#limits] = 'v:' .. #limits
  end
  return limits
end

-- Fills user.pace; user.fault names a key that cannot be read.
local function read_pace(user, limits)
  local found, err = try('HMGET', user.key, unpack(limits.fields))
  if not found then
    user.fault = user.fault or user.key .. ': ' .. err
    return
  end
  user.pace = {}
  for i = 1, #limits do
    local bucket, grants, amount, old_grants, old_amount =
      match(found[i] or '', '^(%d+) (%d+) (%d+) (%d+) (%d+)$')
    user.pace[i] = { bucket = tonumber(bucket) or -2, grants = tonumber(grants) or 0, amount = tonumber(amount) or 0,
                     old_grants = tonumber(old_grants) or 0, old_amount = tonumber(old_amount) or 0 }
  end
end

-- Moves a user's buckets on to an instant.
local function advance(held, bucket)
  if held.bucket ~= bucket then
    local next_to = held.bucket == bucket - 1
    held.old_grants, held.old_amount = next_to and held.grants or 0, next_to and held.amount or 0
    held.bucket, held.grants, held.amount = bucket, 0, 0
  end
end

-- Whether one more grant of an amount is within every limit at an instant.
local function within_pace(limits, user, amount, at)
  local gained = math.max(0, amount)
  for i = 1, #limits do
    local limit, held = limits[i], user.pace[i]
    advance(held, math.floor(at / limit.per))
    local share = 1 - at % limit.per / limit.per
    if (limit.grants and held.grants + held.old_grants * share + 1 > limit.grants)
      or (limit.amount and held.amount + held.old_amount * share + gained > limit.amount) then
      return false
    end
  end
  return true
end

local function take_pace(limits, user, amount)
  for i = 1, #limits do
    local held = user.pace[i]
    held.grants, held.amount = held.grants + 1, held.amount + math.max(0, amount)
  end
  user.paced = limits
end

local function write_pace(user)
  local args = {}
  for i = 1, #user.paced do
    local held = user.pace[i]
    args[#args + 1] = user.paced.fields[i]
    args[#args + 1] =
      format('%d %d %d %d %d', held.bucket, held.grants, held.amount, held.old_grants, held.old_amount)
  end
  call('HSET', user.key, unpack(args))
end
