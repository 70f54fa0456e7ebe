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

-- Where the bare numbers and booleans stand that are meant as texts: first and last position of each, in turn.
local bare

-- What the values of a member are, by the tables of texts.py: nil for what is read as it stands.
local TEXT, TEXT_VALUES, KEEP = 1, 2, 3

local function kind_of(raw, outer)
  if outer == KEEP or OPAQUE[raw] then
    return KEEP
  elseif outer == TEXT_VALUES or TEXTS[raw] then
    return TEXT
  end
  return TEXT_MAPS[raw] and TEXT_VALUES or nil
end

local function skip_array(text, at, depth, kind)
  local finish
  at = skip_space(text, at + 1)
  if byte(text, at) == CLOSE_ARRAY then
    return at + 1
  end
  while at do
    at = skip_value(text, at, depth + 1, kind)
    if at then
      at, finish = behind_item(text, at, CLOSE_ARRAY)
    end
  end
  return finish
end

-- Position of the value of the member at `at`, and the member's name as written.
local function skip_name(text, at)
  local after = byte(text, at) == QUOTE and skip_string(text, at)
  if not after then
    return nil
  end
  local colon = skip_space(text, after)
  if byte(text, colon) ~= COLON then
    return nil
  end
  return skip_space(text, colon + 1), sub(text, at + 1, after - 2)
end

-- `prefix` is "" for the document, `name.` for the objects its members have, and nil below; `found` is called with
-- each path until it returns false.
local function skip_object(text, at, depth, kind, prefix, found)
  local finish
  at = skip_space(text, at + 1)
  if byte(text, at) == CLOSE_OBJECT then
    return at + 1
  end
  while at do
    local value, raw = skip_name(text, at)
    local name = value and prefix and plain_name(raw)
    local nested = name and prefix == "" and name .. "." or nil
    -- A member that is null is listed as `name!`: null means "not given" where an empty list means "clear".
    local mark = name and value and sub(text, value, value + 3) == "null" and "!" or ""
    if name and not found(prefix .. name .. mark, prefix == "") then
      prefix = nil
    end
    at = value and skip_value(text, value, depth + 1, kind_of(raw, kind), nested, found)
    if at then
      at, finish = behind_item(text, at, CLOSE_OBJECT)
    end
  end
  return finish
end

function skip_value(text, at, depth, kind, prefix, found)
  local first = byte(text, at)
  if depth > MAX_DEPTH then
    return nil
  elseif first == QUOTE then
    return skip_string(text, at)
  elseif first == OPEN_OBJECT then
    return skip_object(text, at, depth, kind ~= TEXT and kind or nil, prefix, found)
  elseif first == OPEN_ARRAY then
    return skip_array(text, at, depth, kind)
  end
  local after = skip_literal(text, at)
  if kind == TEXT and after and sub(text, at, at + 3) ~= "null" then
    bare[#bare + 1], bare[#bare + 2] = at, after - 1
  end
  return after
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

-- `text` with the bare numbers and booleans in quotes that `member_paths` found; nil when there are none.
function with_texts_quoted(text)
  if #bare == 0 then
    return nil
  end
  local parts, from = {}, 1
  for index = 1, #bare, 2 do
    parts[#parts + 1] = sub(text, from, bare[index] - 1)
    parts[#parts + 1] = '"' .. sub(text, bare[index], bare[index + 1]) .. '"'
    from = bare[index + 1] + 1
  end
  parts[#parts + 1] = sub(text, from)
  return table.concat(parts)
end

-- The member paths of `text`, comma separated: the first level, then the second, each at most `limit` bytes long.
-- nil when `text` is not exactly one JSON object, or nests deeper than MAX_DEPTH.
function member_paths(text, limit)
  bare = {}
  local at = skip_space(text, 1)
  if byte(text, at) ~= OPEN_OBJECT then
    return nil
  end
  local outer, found_outer = collector(limit)
  local inner, found_inner = collector(limit)
  at = skip_object(text, at, 1, nil, "", function(path, is_outer)
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
