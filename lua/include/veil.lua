-- Users who are off the boards. A veil is what the hash of hidden users says of one, `<version> <state>`: `hidden` (their
-- scores stand among their balances), `back` (they come back: a score may stand in either place) or `erasing` (they leave
-- both, and nothing is granted to them). Who has a veil is looked for in both places and put where it says.

-- nil, or a refusal. Fills user.veil and user.veil_version of those who have one.
local function read_veils(hidden_key, users)
  local names = {}
  for i = 1, #users do
    names[i] = users[i].name
  end
  local held, err = try('HMGET', hidden_key, unpack(names))
  if not held then
    return { 'corrupt', hidden_key .. ': ' .. err }
  end
  for i = 1, #names do
    if held[i] then
      local user = users[i]
      user.veil_version, user.veil = match(held[i], '^(%d+) (%l+)$')
      if user.veil ~= 'hidden' and user.veil ~= 'back' and user.veil ~= 'erasing' then
        return { 'corrupt', hidden_key .. ': a state is not what it should be' }
      end
    end
  end
  return nil
end

-- Whether a user may stand on boards.
local function is_shown(user)
  return not user.veil or user.veil == 'back'
end

-- The code of a refusal, or nil. What moves a user (moves: `h<version>`) is taken under the very veil it was made for; of
-- one who is being erased nothing else is taken, but for what takes a duplicate back (`t…`).
local function refuse_veil(entry)
  local user, first = entry.user, sub(entry.moves, 1, 1)
  if first == 'h' then
    return sub(entry.moves, 2) ~= user.veil_version and 'stale_veil' or nil
  end
  return user.veil == 'erasing' and first ~= 't' and 'user_erasing' or nil
end
