-- Users who are off the boards. A veil is what a hash of hidden users says of one, `<version> <state>`: `hidden` (their
-- scores stand among their balances), `back` (they come back: a score may stand in either place) or `erasing` (they leave
-- both, and nothing is granted to them). Who has a veil is looked for in both places and put where it says.
-- There is a hash of the whole deployment and one of each namespace. Of two veils the one that hides more holds; of one who
-- is being erased no other counts.
--
--- @include "include/replies"

local match, sub = string.match, string.sub

local STRENGTH = { back = 1, hidden = 2, erasing = 3 }

-- nil, or a refusal. Fills user.veil, and the versions of the veils of those who have one; the deployment's come first.
local function read(hidden_key, users)
  local names = {}
  for i = 1, #users do
    names[i] = users[i].name
  end
  local held, err = replies.try('HMGET', hidden_key, unpack(names))
  if not held then
    return { 'corrupt', hidden_key .. ': ' .. err }
  end
  for i = 1, #names do
    if held[i] then
      local user = users[i]
      local version, state = match(held[i], '^(%d+) (%l+)$')
      if not STRENGTH[state] then
        return { 'corrupt', hidden_key .. ': a state is not what it should be' }
      end
      if user.visibility ~= 'erasing' then
        user.visibility_versions = user.visibility_versions or {}
        user.visibility_versions[version] = true
        if not user.visibility or STRENGTH[state] > STRENGTH[user.visibility] then
          user.visibility = state
        end
      end
    end
  end
  return nil
end

-- nil, or a refusal. The veils of a batch's users in their own namespaces, where anybody is hidden there.
local function read_in_namespaces(batch)
  for _, namespace in ipairs(batch.namespaces) do
    if namespace.has_hidden then
      local users = {}
      for _, user in ipairs(batch.users) do
        if user.namespace == namespace then
          users[#users + 1] = user
        end
      end
      local refusal = read(namespace.hidden_key, users)
      if refusal then
        return refusal
      end
    end
  end
  return nil
end

-- Whether a user may stand on boards.
local function is_visible(user)
  return not user.visibility or user.visibility == 'back'
end

-- The code of a refusal, or nil. What moves a user (moves: `h<version>`) is taken under the very veil it was made for; of
-- one who is being erased nothing else is taken, but for what takes a duplicate back (`t…`).
local function check(entry)
  local user, first = entry.user, sub(entry.ops, 1, 1)
  if first == 'h' then
    local versions = user.visibility_versions
    return not (versions and versions[sub(entry.ops, 2)]) and 'stale_veil' or nil
  end
  return user.visibility == 'erasing' and first ~= 't' and 'user_erasing' or nil
end

return { read = read, read_in_namespaces = read_in_namespaces, is_visible = is_visible, check = check }
