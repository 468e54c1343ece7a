-- Bitmaps with a bit for each item.

-- Set the bits first to first+count-1 of a bitmap.
local function fill(bitmap, first, count, bit)
  local arguments = {}
  for at = first, first + count - 1, 32 do
    local width = math.min(32, first + count - at)
    for _, part in ipairs({'SET', 'u' .. width, at, bit * (2 ^ width - 1)}) do arguments[#arguments + 1] = part end
  end
  redis.call('BITFIELD', bitmap, unpack(arguments))
end

-- The number `word` of `width` bits as a text of 0 and 1.
local function binary(word, width)
  if word == 0 then return string.rep('0', width) end
  local bits = {}
  for bit = width - 1, 0, -1 do bits[#bits + 1] = math.floor(word / 2 ^ bit) % 2 end
  return table.concat(bits)
end

-- The bits first to first+count-1 of a bitmap, as a text of 0 and 1.
local function bits_of(bitmap, first, count)
  local arguments = {}
  for at = first, first + count - 1, 32 do
    for _, part in ipairs({'GET', 'u' .. math.min(32, first + count - at), at}) do arguments[#arguments + 1] = part end
  end
  local texts = redis.call('BITFIELD', bitmap, unpack(arguments))
  for n, word in ipairs(texts) do texts[n] = binary(word, math.min(32, count - 32 * (n - 1))) end
  return table.concat(texts)
end

-- Set the bits of `indexes`, neighbours together; returns what they were, as a text of 0 and 1.
local function set_bits(bitmap, indexes)
  local arguments, widths, at = {}, {}, 1
  while at <= #indexes do
    local width = 1
    while width < 32 and indexes[at + width] == indexes[at] + width do width = width + 1 end
    for _, part in ipairs({'SET', 'u' .. width, indexes[at], 2 ^ width - 1}) do arguments[#arguments + 1] = part end
    widths[#widths + 1], at = width, at + width
  end
  if #widths == 0 then return '' end
  local texts = redis.call('BITFIELD', bitmap, unpack(arguments))
  for n, word in ipairs(texts) do texts[n] = binary(word, widths[n]) end
  return table.concat(texts)
end
