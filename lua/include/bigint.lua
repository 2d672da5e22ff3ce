-- Exact integers of any length: text in decimal, or limbs of six digits each, the lowest first. A limb may be signed and
-- longer while it is added to: some thousand products of integers up to ±2·10^15 fit in doubles.

local format, sub = string.format, string.sub

local LIMB = 1000000

local function new()
  return { 0, 0, 0, 0, 0 }
end

-- Three limbs; the last is signed.
local function split(number)
  local low = number % LIMB
  local rest = (number - low) / LIMB
  local middle = rest % LIMB
  return low, middle, (rest - middle) / LIMB
end

local function add_product(limbs, a, b)
  local a0, a1, a2 = split(a)
  local b0, b1, b2 = split(b)
  limbs[1] = limbs[1] + a0 * b0
  limbs[2] = limbs[2] + a0 * b1 + a1 * b0
  limbs[3] = limbs[3] + a0 * b2 + a1 * b1 + a2 * b0
  limbs[4] = limbs[4] + a1 * b2 + a2 * b1
  limbs[5] = limbs[5] + a2 * b2
end

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

-- The text of limbs, which are used up. What is carried out of a negative number is −1 for ever.
local function long_text(limbs)
  local carry, i = 0, 1
  while limbs[i] or (carry ~= 0 and carry ~= -1) do
    local held = (limbs[i] or 0) + carry
    limbs[i] = held % LIMB
    carry, i = (held - limbs[i]) / LIMB, i + 1
  end
  if carry == -1 then
    limbs[i] = -1
    for k = 1, i do
      limbs[k] = 0 - limbs[k]
    end
    return '-' .. long_text(limbs)
  end
  local parts = {}
  for k = i - 1, 1, -1 do
    parts[#parts + 1] = format('%06d', limbs[k])
  end
  local text = string.gsub(table.concat(parts), '^0+', '')
  return text == '' and '0' or text
end

-- text + plain + limbs (nil: none) as text; plain: within ±4·10^15.
local function sum(text, plain, limbs)
  if not limbs and #text < 16 then
    return format('%.0f', tonumber(text) + plain)
  end
  limbs = limbs or new()
  add_product(limbs, plain, 1)
  add_text(limbs, text)
  return long_text(limbs)
end

return { new = new, add_product = add_product, add_text = add_text, sum = sum }
