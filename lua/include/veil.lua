-- Users who are off the boards. A veil is what a hash of hidden users says of one, `<version> <state>`: `hidden` (their
-- scores stand among their balances), `back` (they come back: a score may stand in either place) or `erasing` (they leave
-- both, and nothing is granted to them). Who has a veil is looked for in both places and put where it says.
-- There is a hash of the whole deployment and one of each namespace. Of two veils the one that hides more holds; of one who
-- is being erased no other counts.

local VEIL_RANK = { back = 1, hidden = 2, erasing = 3 }

-- nil, or a refusal. Fills user.veil, and the versions of the veils of those who have one; the deployment's come first.
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
      local version, veil = match(held[i], '^(%d+) (%l+)$')
      if not VEIL_RANK[veil] then
        return { 'corrupt', hidden_key .. ': a state is not what it should be' }
      end
      if user.veil ~= 'erasing' then
        user.veil_versions = user.veil_versions or {}
        user.veil_versions[version] = true
        if not user.veil or VEIL_RANK[veil] > VEIL_RANK[user.veil] then
          user.veil = veil
        end
      end
    end
  end
  return nil
end

-- nil, or a refusal. The veils of a batch's users in their own namespaces, where anybody is hidden there.
local function read_own_veils(batch)
  for _, space in ipairs(batch.spaces) do
    if space.hides then
      local users = {}
      for _, user in ipairs(batch.users) do
        if user.space == space then
          users[#users + 1] = user
        end
      end
      local refusal = read_veils(space.hidden_key, users)
      if refusal then
        return refusal
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
    local versions = user.veil_versions
    return not (versions and versions[sub(entry.moves, 2)]) and 'stale_veil' or nil
  end
  return user.veil == 'erasing' and first ~= 't' and 'user_erasing' or nil
end
