-- Reads the JSON document of a request: is it one object, and which members does it name?
-- Strict on purpose (RFC 8259): the transcoder also takes bare names, single quotes and trailing commas, and two
-- readers that disagree about a document are a way to smuggle a field past one of them.

-- Services parse at most 100 nested messages; an object inside a google.protobuf.Value makes three of them.
local MAX_DEPTH = 32
local MAX_NAME = 64

-- A member name with its escapes undone; nil for one no field of ours can have, so that it cannot disturb the header.
local function plain_name(raw)
  if find(raw, "\\", 1, true) then
    raw = raw:gsub("\\(.)(%x?%x?%x?%x?)", function(kind, hex)
      local code = kind == "u" and tonumber(hex, 16) or 0
      return kind ~= "u" and "?" .. hex or code < 128 and char(code) or "?"
    end)
  end
  return #raw <= MAX_NAME and find(raw, "^[%w_%-]+$") and raw or nil
end

-- Where the next item of a list begins, or where the list ends; neither when it is malformed.
local function behind_item(text, at, close)
  at = skip_space(text, at)
  local separator = byte(text, at)
  if separator == close then
    return nil, at + 1
  elseif separator == COMMA then
    return skip_space(text, at + 1), nil
  end
end

local skip_value

local function skip_array(text, at, depth)
  local finish
  at = skip_space(text, at + 1)
  if byte(text, at) == CLOSE_ARRAY then
    return at + 1
  end
  while at do
    at = skip_value(text, at, depth + 1)
    if at then
      at, finish = behind_item(text, at, CLOSE_ARRAY)
    end
  end
  return finish
end

-- Position of the value of the member at `at`, and the member's name if `wanted` and plain.
local function skip_name(text, at, wanted)
  local after = byte(text, at) == QUOTE and skip_string(text, at)
  if not after then
    return nil
  end
  local colon = skip_space(text, after)
  if byte(text, colon) ~= COLON then
    return nil
  end
  return skip_space(text, colon + 1), wanted and plain_name(sub(text, at + 1, after - 2))
end

-- `prefix` is "" for the document, `name.` for the objects its members have, and nil below; `found` is called with
-- each path until it returns false.
local function skip_object(text, at, depth, prefix, found)
  local finish
  at = skip_space(text, at + 1)
  if byte(text, at) == CLOSE_OBJECT then
    return at + 1
  end
  while at do
    local value, name = skip_name(text, at, prefix)
    local nested = name and prefix == "" and name .. "." or nil
    -- A member that is null is listed as `name!`: null means "not given" where an empty list means "clear".
    local mark = name and value and sub(text, value, value + 3) == "null" and "!" or ""
    if name and not found(prefix .. name .. mark, prefix == "") then
      prefix = nil
    end
    at = value and skip_value(text, value, depth + 1, nested, found)
    if at then
      at, finish = behind_item(text, at, CLOSE_OBJECT)
    end
  end
  return finish
end

function skip_value(text, at, depth, prefix, found)
  local first = byte(text, at)
  if depth > MAX_DEPTH then
    return nil
  elseif first == QUOTE then
    return skip_string(text, at)
  elseif first == OPEN_OBJECT then
    return skip_object(text, at, depth, prefix, found)
  elseif first == OPEN_ARRAY then
    return skip_array(text, at, depth)
  end
  return skip_literal(text, at)
end

-- Collects paths, each once, until they are `limit` bytes long; the function says whether there is room for more.
local function collector(limit)
  local paths, seen, size = {}, {}, 0
  return paths, function(path)
    if size < limit and not seen[path] then
      size = size + #path + 1
      if size <= limit then
        seen[path] = true
        paths[#paths + 1] = path
      end
    end
    return size < limit
  end
end

-- The member paths of `text`, comma separated: the first level, then the second, each at most `limit` bytes long.
-- nil when `text` is not exactly one JSON object, or nests deeper than MAX_DEPTH.
function member_paths(text, limit)
  local at = skip_space(text, 1)
  if byte(text, at) ~= OPEN_OBJECT then
    return nil
  end
  local outer, found_outer = collector(limit)
  local inner, found_inner = collector(limit)
  at = skip_object(text, at, 1, "", function(path, is_outer)
    return (is_outer and found_outer or found_inner)(path)
  end)
  if not at or skip_space(text, at) <= #text then
    return nil
  end
  for _, path in ipairs(inner) do
    outer[#outer + 1] = path
  end
  return table.concat(outer, ",")
end
