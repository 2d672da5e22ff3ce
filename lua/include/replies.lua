-- Reads that may meet a key of another type or content: nothing raises, the caller decides.

local pcall = redis.pcall

local FIELDS_A_CALL_MAX = 2000 -- of a hash, at most: Lua unpacks no more than some thousand arguments

-- The reply, or nil and the error's text.
local function try(...)
  local reply = pcall(...)
  if type(reply) == 'table' and reply.err then
    return nil, tostring(reply.err)
  end
  return reply
end

-- An integer held as text within a double's exact range; `default` where there is none; nil for anything else.
local function integer(held, default)
  if not held then
    return default
  end
  local number = tonumber(held)
  if number and number % 1 == 0 and number <= 9007199254740991 and number >= -9007199254740991 then
    return number
  end
  return nil
end

return { try = try, integer = integer, FIELDS_A_CALL_MAX = FIELDS_A_CALL_MAX }
