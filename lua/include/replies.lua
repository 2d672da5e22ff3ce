-- Replies of commands that may meet a key of another type, or a value that is not what it should be.

local pcall = redis.pcall

local FIELDS_A_CALL_MAX = 2000 -- fields of a hash in one command: Lua unpacks no more than some thousand arguments

-- Runs a command. The reply, or nil and the error's text.
local function try(...)
  local reply = pcall(...)
  if type(reply) == 'table' and reply.err then
    return nil, tostring(reply.err)
  end
  return reply
end

-- The integer in a text, within a double's exact range. `default` for a missing text, nil for any other text.
local function integer(text, default)
  if not text then
    return default
  end
  local number = tonumber(text)
  if number and number % 1 == 0 and number <= 9007199254740991 and number >= -9007199254740991 then
    return number
  end
  return nil
end

return { try = try, integer = integer, FIELDS_A_CALL_MAX = FIELDS_A_CALL_MAX }
