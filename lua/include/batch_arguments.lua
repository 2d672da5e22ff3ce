-- A call's KEYS and ARGV as tables, in the order in which app/store/apply.py packs them. Positions are counts of KEYS
-- or of ARGV before the part that a function reads; each returns the position after it.
--
--- @include "include/aggregation"
--- @include "include/sum_tree_changes"
--- @include "include/velocity"

local sub = string.sub

local function unpack_namespaces(keys, args, count)
  local namespaces = {}
  for i = 1, count do
    local ascending = ARGV[args + 4] == 'asc'
    namespaces[i] = { key = KEYS[keys + 2 * i - 1], hidden_key = KEYS[keys + 2 * i], id = ARGV[args + 1],
                  version = ARGV[args + 2], ascending = ascending,
                  has_tie_break = ARGV[args + 5] ~= 'none', by_granted_at = ARGV[args + 5] == 'granted_at',
                  dense = ARGV[args + 6] == 'dense', adds = ARGV[args + 3] == 'sum',
                  latest = ARGV[args + 3] == 'latest', merge = aggregation.merge_of(ARGV[args + 3], ascending),
                  velocity_limits = velocity.parse_limits(ARGV[args + 7]), quarantines = ARGV[args + 8] == 'quarantine',
                  statistics = ARGV[args + 9] == '1', bounded = ARGV[args + 10] == '1', boards_with_totals = {},
                  labels = {}, known = {}, label_sets = {}, windows = {}, window_states = {}, archived_versions = {}, changed_fields = {},
                  version_fields = {} }
    args = args + 10
  end
  return namespaces, keys + 2 * count, args
end

local function unpack_boards(keys, args, count, namespaces)
  local boards = {}
  for i = 1, count do
    local namespace = namespaces[tonumber(ARGV[args + 1])]
    local board = { key = KEYS[keys + 1], namespace = namespace, name = ARGV[args + 2], scores = {} }
    boards[i], keys, args = board, keys + 1, args + 2
    if namespace.has_tie_break then
      board.prefix_key, keys = KEYS[keys + 1], keys + 1
      board.members, board.prefixes, board.new_prefixes = {}, {}, {}
    end
    if namespace.dense then
      board.scores_key, keys = KEYS[keys + 1], keys + 1
    end
    if namespace.bounded then
      board.sums, keys = sum_tree_changes.new(KEYS[keys + 1]), keys + 1
    end
    if namespace.latest then
      board.times_key, keys = KEYS[keys + 1], keys + 1
      board.times, board.retimed = {}, {}
    end
    if namespace.statistics then
      board.totals, namespace.boards_with_totals[#namespace.boards_with_totals + 1] = { sum = 0, squares = 0 }, board
    end
    if namespace.dense or namespace.statistics or namespace.bounded then
      board.old_scores = {}
    end
  end
  return boards, keys, args
end

-- with_days: whether each user's days follow their balances.
local function unpack_users(keys, args, count, with_days)
  local users = {}
  for i = 1, count do
    if with_days then
      users[i] = { number = i, key = KEYS[keys + 2 * i - 1], days_key = KEYS[keys + 2 * i], name = ARGV[args + i] }
    else
      users[i] = { number = i, key = KEYS[keys + i], name = ARGV[args + i] }
    end
  end
  return users, args + count
end

-- A target is the boards of one namespace and one set of windows, `all` first: "board board …". Its users are those of
-- the entries that aim at it; `changed` are those whose scores move.
local function unpack_board_sets(args, count, boards)
  local board_sets = {}
  for i = 1, count do
    local board_set = { boards = {}, users = {}, names = {}, has_user = {}, changed_users = {}, has_changed = {} }
    for index in string.gmatch(ARGV[args + i], '%d+') do
      board_set.boards[#board_set.boards + 1] = boards[tonumber(index)]
    end
    board_set.namespace = board_set.boards[1].namespace
    board_sets[i] = board_set
  end
  return board_sets, args + count
end

-- A shape is the labels whose numbers an entry moves, `c:…`, `s:…` and `d:…` (a day): how many, then each. `at`: where the
-- number of each stands among a user's; `dates`: the days (include/days).
local function unpack_label_sets(args, count)
  local label_sets = {}
  for i = 1, count do
    local fields, at, labels, days, dates = { 'total', 'count', 'last', 'seq' }, {}, {}, {}, {}
    for k = 1, tonumber(ARGV[args + 1]) do
      local label = ARGV[args + 1 + k]
      labels[k], days[k] = label, sub(label, 1, 2) == 'd:'
      if days[k] then
        dates[#dates + 1], at[label] = label, label
      else
        fields[#fields + 1], at[label] = label, #fields + 1
      end
    end
    label_sets[i] = { labels = labels, days = days, dates = dates, fields = fields, at = at }
    args = args + 1 + #labels
  end
  return label_sets, args
end

local function unpack_entries(args, count, board_sets, users, label_sets)
  local entries, ids, claims = {}, {}, {}
  for i = 1, count do
    local id, content, verdict, board_set, user, label_set, amount, live_delta, granted_at, ops, claim, body =
      unpack(ARGV, args + 1, args + 12)
    entries[i] = { number = i, id = id, digest = content, verdict = verdict, board_set = board_sets[tonumber(board_set)],
                   user = users[tonumber(user)], label_set = label_sets[tonumber(label_set)], amount = tonumber(amount),
                   live_delta = tonumber(live_delta), granted_at = tonumber(granted_at), ops = ops, body = body }
    ids[i], args = id, args + 12
    if sub(ops, 1, 1) == 't' then
      entries[i].freed = claim
    elseif claim ~= '' then
      claims[#claims + 1] = entries[i]
      entries[i].claim, entries[i].request_digest = sub(claim, 1, 16), sub(claim, 17)
    end
  end
  -- Ids of entries stand first, so that what is seen of an entry stands at its own place.
  for k, entry in ipairs(claims) do
    ids[count + k], entry.claim_place = entry.claim, count + k
  end
  return entries, ids
end

return { unpack_namespaces = unpack_namespaces, unpack_boards = unpack_boards, unpack_users = unpack_users, unpack_board_sets = unpack_board_sets, unpack_label_sets = unpack_label_sets, unpack_entries = unpack_entries }
