-- The behaviour of each kind of entry, by the letter before its ops. app/model/entry_kinds.py is the other half of this
-- table, app/model/ops.py writes the ops.
--
--   is_grant        the aggregation decides what becomes of its cells; it counts against quotas
--   has_velocity    it counts against velocities
--   passes_closed   it may name a closed window, whose boards it leaves alone
--   moves_closed    it changes boards of a closed window, too, until that is archived
--   is_seal         it closes a window: s<µs>
--   is_visibility   it moves a user's scores to where the state of a version wants them: h<version>
--   passes_erasing  it is taken of a user who is being erased
--   releases        its claim names what others may claim again

local sub = string.sub

local GRANT = { is_grant = true, has_velocity = true }
local BY_LETTER = {
  b = { is_grant = true, passes_closed = true },
  c = { passes_closed = true },
  h = { passes_closed = true, moves_closed = true, is_visibility = true },
  r = { passes_closed = true },
  s = { passes_closed = true, is_seal = true },
  t = { passes_closed = true, moves_closed = true, passes_erasing = true, releases = true },
}

-- The row of an entry's kind, out of its ops.
local function of(ops)
  return ops == '' and GRANT or BY_LETTER[sub(ops, 1, 1)]
end

return { of = of }
