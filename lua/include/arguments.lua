-- The bundle of a call: KEYS and ARGV as tables, in the order in which app/store/apply.py packs them. `at` counts the KEYS and
-- the ARGV that have been read.
--
--- @include "include/aggregation"
--- @include "include/balances"
--- @include "include/entry_kinds"
--- @include "include/sum_tree_changes"
--- @include "include/velocity"

local KEYS, ARGV, sub = KEYS, ARGV, string.sub

local function unpack_namespaces(at, count)
  local namespaces = {}
  for i = 1, count do
    local id, version, aggregated, order, tie_break, ranking, limits, suspicious, statistics, bounded_sums =
      unpack(ARGV, at.args + 1, at.args + 10)
    local ascending = order == 'asc'
    local adds, keeps_times, merge = aggregation.of(aggregated, ascending)
    namespaces[i] = {
      key = KEYS[at.keys + 1], hidden_key = KEYS[at.keys + 2], id = id, version = version, ascending = ascending,
      adds = adds, keeps_times = keeps_times, merge = merge,
      has_tie_break = tie_break ~= 'none', by_granted_at = tie_break == 'granted_at', dense = ranking == 'dense',
      velocity_limits = limits ~= '' and velocity.parse_limits(limits), quarantines = suspicious == 'quarantine',
      has_totals = statistics == '1', has_sum_trees = bounded_sums == '1', boards_with_totals = {}, label_sets = {},
      labels = {}, has_label = {}, windows = {}, window_states = {}, archived_versions = {}, version_fields = {},
      changed_fields = {},
    }
    at.keys, at.args = at.keys + 2, at.args + 10
  end
  return namespaces
end

-- A board, and the keys beside it that its namespace's rules ask for.
local function unpack_board(at, namespaces)
  local namespace = namespaces[tonumber(ARGV[at.args + 1])]
  local board, keys = { key = KEYS[at.keys + 1], namespace = namespace, name = ARGV[at.args + 2], scores = {} }, at.keys + 1
  if namespace.has_tie_break then
    board.prefix_key, keys = KEYS[keys + 1], keys + 1
    board.members, board.prefixes, board.new_prefixes = {}, {}, {}
  end
  if namespace.dense then
    board.scores_key, keys = KEYS[keys + 1], keys + 1
  end
  if namespace.has_sum_trees then
    board.sum_tree, keys = sum_tree_changes.new(KEYS[keys + 1]), keys + 1
  end
  if namespace.keeps_times then
    board.times_key, keys = KEYS[keys + 1], keys + 1
    board.times, board.has_new_time = {}, {}
  end
  if namespace.has_totals then
    board.totals = { sum = 0, squares = 0 }
    namespace.boards_with_totals[#namespace.boards_with_totals + 1] = board
  end
  if namespace.dense or namespace.has_totals or namespace.has_sum_trees then
    board.old_scores = {}
  end
  at.keys, at.args = keys, at.args + 2
  return board
end

local function unpack_boards(at, count, namespaces)
  local boards = {}
  for i = 1, count do
    boards[i] = unpack_board(at, namespaces)
  end
  return boards
end

-- has_days: whether the key of a user's days follows that of their balances.
local function unpack_users(at, count, has_days)
  local users = {}
  for i = 1, count do
    local user = { number = i, key = KEYS[at.keys + 1], name = ARGV[at.args + i] }
    if has_days then
      user.days_key = KEYS[at.keys + 2]
    end
    users[i], at.keys = user, at.keys + (has_days and 2 or 1)
  end
  at.args = at.args + count
  return users
end

-- Board sets: the boards that an entry moves together, `all` first, by their numbers. `users` are those of the set's entries,
-- `changed_users` those whose scores the bundle changes.
local function unpack_board_sets(at, count, boards)
  local board_sets = {}
  for i = 1, count do
    local board_set = { boards = {}, users = {}, names = {}, has_user = {}, changed_users = {}, has_changed = {} }
    for number in string.gmatch(ARGV[at.args + i], '%d+') do
      board_set.boards[#board_set.boards + 1] = boards[tonumber(number)]
    end
    board_set.namespace = board_set.boards[1].namespace
    board_sets[i] = board_set
  end
  at.args = at.args + count
  return board_sets
end

-- Label sets: the labels whose values an entry moves, `c:…`, `s:…` and `d:…` (a day). For `fields`, `dates` and `index` see
-- include/balances.
local function unpack_label_sets(at, count)
  local label_sets = {}
  for i = 1, count do
    local fields, index, labels, is_day, dates = balances.first_fields(), {}, {}, {}, {}
    for k = 1, tonumber(ARGV[at.args + 1]) do
      local label = ARGV[at.args + 1 + k]
      labels[k], is_day[k] = label, sub(label, 1, 2) == 'd:'
      if is_day[k] then
        dates[#dates + 1], index[label] = label, label
      else
        fields[#fields + 1], index[label] = label, #fields + 1
      end
    end
    label_sets[i] = { labels = labels, is_day = is_day, dates = dates, fields = fields, index = index }
    at.args = at.args + 1 + #labels
  end
  return label_sets
end

-- Entries, and the ids to look up: first those of the entries in order, then the claimed ones. `claim` is the id of an
-- Idempotency-Key, `request_digest` that of its request; `freed` names what a heal frees (include/dedup).
local function unpack_entries(at, count, board_sets, users, label_sets)
  local entries, ids, claims, args = {}, {}, {}, at.args
  for i = 1, count do
    local id, digest, verdict, board_set, user, label_set, amount, live_delta, granted_at, ops, claim, body =
      unpack(ARGV, args + 1, args + 12)
    local entry = {
      number = i, id = id, digest = digest, verdict = verdict, board_set = board_sets[tonumber(board_set)],
      user = users[tonumber(user)], label_set = label_sets[tonumber(label_set)], amount = tonumber(amount),
      live_delta = tonumber(live_delta), granted_at = tonumber(granted_at), kind = entry_kinds.of(ops), ops = ops, body = body,
    }
    entries[i], ids[i], args = entry, id, args + 12
    if entry.kind.releases then
      entry.freed = claim
    elseif claim ~= '' then
      claims[#claims + 1] = entry
      entry.claim, entry.request_digest = sub(claim, 1, 16), sub(claim, 17)
    end
  end
  for k, entry in ipairs(claims) do
    ids[count + k], entry.claim_index = entry.claim, count + k
  end
  return entries, ids
end

-- The whole bundle. keys, args: those before it; counts: of boards, users, namespaces, board sets, label sets and entries.
local function unpack_bundle(keys, args, counts, has_days)
  local at, bundle = { keys = keys, args = args }, { applied = {}, pending = {} }
  bundle.namespaces = unpack_namespaces(at, counts[3])
  bundle.boards = unpack_boards(at, counts[1], bundle.namespaces)
  bundle.users = unpack_users(at, counts[2], has_days)
  bundle.board_sets = unpack_board_sets(at, counts[4], bundle.boards)
  local label_sets = unpack_label_sets(at, counts[5])
  bundle.entries, bundle.ids = unpack_entries(at, counts[6], bundle.board_sets, bundle.users, label_sets)
  return bundle
end

return { unpack = unpack_bundle, unpack_namespaces = unpack_namespaces, unpack_boards = unpack_boards }
