-- Visibility of users. A hash holds `<version> <state>` for each user who has a state:
--   hidden     the user is on no board; their scores are kept among their balances
--   returning  the user comes back: some scores may still be among the balances
--   erasing    the user is being erased: scores leave both places, and nothing is granted
-- The scripts look for a user with a state on the board and among the balances, and put the scores where the state
-- says. The deployment has such a hash, and each namespace has one. The state that hides more wins; beside `erasing` no
-- other counts.
--
--- @include "include/replies"

local match, sub = string.match, string.sub

local STRENGTH = { returning = 1, hidden = 2, erasing = 3 }

-- Fills user.visibility, and user.visibility_versions: the versions of all states of the user. Call it for the deployment
-- first. nil, or a refusal.
local function read(hidden_key, users)
  local names = {}
  for i = 1, #users do
    names[i] = users[i].name
  end
  local values, err = replies.try('HMGET', hidden_key, unpack(names))
  if not values then
    return { 'corrupt', hidden_key .. ': ' .. err }
  end
  for i = 1, #names do
    if values[i] then
      local user = users[i]
      local version, state = match(values[i], '^(%d+) (%l+)$')
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

-- The same for the namespaces of a bundle in which somebody is hidden. nil, or a refusal.
local function read_in_namespaces(bundle)
  for _, namespace in ipairs(bundle.namespaces) do
    if namespace.has_hidden then
      local users = {}
      for _, user in ipairs(bundle.users) do
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

-- Whether a user may be on boards.
local function is_visible(user)
  return not user.visibility or user.visibility == 'returning'
end

-- The code of a refusal, or nil. A visibility entry (ops: `h<version>`) applies only at the state version it was planned
-- for. For a user who is being erased, only heals pass.
local function check(entry)
  local user, kind = entry.user, entry.kind
  if kind.is_visibility then
    local versions = user.visibility_versions
    return not (versions and versions[sub(entry.ops, 2)]) and 'stale_visibility' or nil
  end
  return user.visibility == 'erasing' and not kind.passes_erasing and 'user_erasing' or nil
end

return { read = read, read_in_namespaces = read_in_namespaces, is_visible = is_visible, check = check }
