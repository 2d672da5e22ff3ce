-- A call's KEYS and ARGV as tables, in the order in which app/store/apply.py packs them. Positions are counts of KEYS
-- or of ARGV before the part that a function reads; each returns the position after it.

local function unpack_spaces(keys, args, count)
  local spaces = {}
  for i = 1, count do
    local ascending = ARGV[args + 4] == 'asc'
    spaces[i] = { key = KEYS[keys + 2 * i - 1], hidden_key = KEYS[keys + 2 * i], id = ARGV[args + 1],
                  version = ARGV[args + 2], ascending = ascending,
                  ordered = ARGV[args + 5] ~= 'none', by_moment = ARGV[args + 5] == 'granted_at',
                  dense = ARGV[args + 6] == 'dense', adds = ARGV[args + 3] == 'sum',
                  latest = ARGV[args + 3] == 'latest', merge = merge_of(ARGV[args + 3], ascending),
                  limits = limits_of(ARGV[args + 7]), quarantines = ARGV[args + 8] == 'quarantine',
                  statistics = ARGV[args + 9] == '1', bounded = ARGV[args + 10] == '1', tallied = {},
                  labels = {}, known = {}, shapes = {}, windows = {}, closed = {}, raised = {}, changed = {},
                  versions = {} }
    args = args + 10
  end
  return spaces, keys + 2 * count, args
end

local function unpack_boards(keys, args, count, spaces)
  local boards = {}
  for i = 1, count do
    local space = spaces[tonumber(ARGV[args + 1])]
    local board = { key = KEYS[keys + 1], space = space, window = ARGV[args + 2], scores = {} }
    boards[i], keys, args = board, keys + 1, args + 2
    if space.ordered then
      board.order_key, keys = KEYS[keys + 1], keys + 1
      board.members, board.digits, board.since = {}, {}, {}
    end
    if space.dense then
      board.scores_key, keys = KEYS[keys + 1], keys + 1
    end
    if space.bounded then
      board.sums, keys = new_sums(KEYS[keys + 1]), keys + 1
    end
    if space.latest then
      board.times_key, keys = KEYS[keys + 1], keys + 1
      board.times, board.retimed = {}, {}
    end
    if space.statistics then
      board.tally, space.tallied[#space.tallied + 1] = { sum = 0, squares = 0 }, board
    end
    if space.dense or space.statistics or space.bounded then
      board.was = {}
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
local function unpack_targets(args, count, boards)
  local targets = {}
  for i = 1, count do
    local target = { boards = {}, users = {}, names = {}, has = {}, changed = {}, moves = {} }
    for index in string.gmatch(ARGV[args + i], '%d+') do
      target.boards[#target.boards + 1] = boards[tonumber(index)]
    end
    target.space = target.boards[1].space
    targets[i] = target
  end
  return targets, args + count
end

-- A shape is the labels whose numbers an entry moves, `c:…`, `s:…` and `d:…` (a day): how many, then each. `at`: where the
-- number of each stands among a user's; `dates`: the days (include/days).
local function unpack_shapes(args, count)
  local shapes = {}
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
    shapes[i] = { labels = labels, days = days, dates = dates, fields = fields, at = at }
    args = args + 1 + #labels
  end
  return shapes, args
end

local function unpack_entries(args, count, targets, users, shapes)
  local entries, ids, claims = {}, {}, {}
  for i = 1, count do
    local id, content, verdict, target, user, shape, amount, weight, granted_at, moves, claim, body =
      unpack(ARGV, args + 1, args + 12)
    entries[i] = { number = i, id = id, content = content, verdict = verdict, target = targets[tonumber(target)],
                   user = users[tonumber(user)], shape = shapes[tonumber(shape)], amount = tonumber(amount),
                   weight = tonumber(weight), granted_at = tonumber(granted_at), moves = moves, body = body }
    ids[i], args = id, args + 12
    if sub(moves, 1, 1) == 't' then
      entries[i].freed = claim
    elseif claim ~= '' then
      claims[#claims + 1] = entries[i]
      entries[i].claim, entries[i].asked = sub(claim, 1, 16), sub(claim, 17)
    end
  end
  -- Ids of entries stand first, so that what is seen of an entry stands at its own place.
  for k, entry in ipairs(claims) do
    ids[count + k], entry.claim_place = entry.claim, count + k
  end
  return entries, ids
end
