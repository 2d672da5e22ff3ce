-- Exact integers of any length. Outside they are decimal text. Inside they are limbs of six digits, the lowest first. A limb
-- may be negative and longer than six digits while numbers are added: some thousand products of integers within ±2·10^15
-- fit into doubles.
--
--- @lazy

local format, sub = string.format, string.sub

local LIMB = 1000000

-- Limbs that hold 0.
local function new()
  return { 0, 0, 0, 0, 0 }
end

-- A number as three limbs; the last may be negative.
local function split(number)
  local low = number % LIMB
  local rest = (number - low) / LIMB
  local middle = rest % LIMB
  return low, middle, (rest - middle) / LIMB
end

-- Adds a · b.
local function add_product(limbs, a, b)
  local a0, a1, a2 = split(a)
  local b0, b1, b2 = split(b)
  limbs[1] = limbs[1] + a0 * b0
  limbs[2] = limbs[2] + a0 * b1 + a1 * b0
  limbs[3] = limbs[3] + a0 * b2 + a1 * b1 + a2 * b0
  limbs[4] = limbs[4] + a1 * b2 + a2 * b1
  limbs[5] = limbs[5] + a2 * b2
end

-- Adds the integer in a text.
local function add_text(limbs, text)
  local first, sign = 1, 1
  if sub(text, 1, 1) == '-' then
    first, sign = 2, -1
  end
  local i, last = 1, #text
  while last >= first do
    limbs[i] = (limbs[i] or 0) + sign * tonumber(sub(text, math.max(first, last - 5), last))
    i, last = i + 1, last - 6
  end
end

-- The text of limbs. Consumes them. A negative total leaves a carry of -1: then all limbs are negated, and '-' stands in front.
local function text_of(limbs)
  local carry, i = 0, 1
  while limbs[i] or (carry ~= 0 and carry ~= -1) do
    local limb = (limbs[i] or 0) + carry
    limbs[i] = limb % LIMB
    carry, i = (limb - limbs[i]) / LIMB, i + 1
  end
  if carry == -1 then
    limbs[i] = -1
    for k = 1, i do
      limbs[k] = 0 - limbs[k]
    end
    return '-' .. text_of(limbs)
  end
  local parts = {}
  for k = i - 1, 1, -1 do
    parts[#parts + 1] = format('%06d', limbs[k])
  end
  local text = string.gsub(table.concat(parts), '^0+', '')
  return text == '' and '0' or text
end

-- The text of text + number + limbs. number: within ±4·10^15; limbs: nil for none.
local function sum(text, number, limbs)
  limbs = limbs or new()
  add_product(limbs, number, 1)
  add_text(limbs, text)
  return text_of(limbs)
end

return { new = new, add_product = add_product, add_text = add_text, sum = sum }
