-- The words of JSON (RFC 8259): space, strings, numbers, literals. Each function returns the position behind what it
-- skipped. Bytes are compared one by one in the hot paths: LuaJIT compiles that, but not pattern matching.

local find, sub, char = string.find, string.sub, string.char

local SPACE, TAB, LINE_FEED, RETURN = byte(" \t\n\r", 1, 4)
local QUOTE, COMMA, COLON, BACKSLASH = byte('",:\\', 1, 4)
local ZERO, NINE, MINUS, POINT, LOWER_E, UPPER_E = byte("09-.eE", 1, 6)
local OPEN_OBJECT, CLOSE_OBJECT, OPEN_ARRAY, CLOSE_ARRAY = byte("{}[]", 1, 4)

local function skip_space(text, at)
  local code = byte(text, at)
  while code == SPACE or code == LINE_FEED or code == RETURN or code == TAB do
    at = at + 1
    code = byte(text, at)
  end
  return at
end

-- Position after the escape sequence at `at`; nil when there is no such escape.
local function skip_escape(text, at)
  if find(text, '^["\\/bfnrt]', at + 1) then
    return at + 2
  end
  return find(text, "^u%x%x%x%x", at + 1) and at + 6 or nil
end

-- Position after the string whose opening quote is at `at`; nil when it is malformed.
local function skip_string(text, at)
  at = at + 1
  while at do
    local code = byte(text, at)
    if code == QUOTE then
      return at + 1
    elseif code == BACKSLASH then
      at = skip_escape(text, at)
    elseif not code or code < 0x20 then
      return nil
    elseif code < 0x80 then
      at = at + 1
    else
      at = skip_character(text, at)
    end
  end
end

local function skip_digits(text, at)
  local code = byte(text, at)
  while code and code >= ZERO and code <= NINE do
    at = at + 1
    code = byte(text, at)
  end
  return at
end

-- Position after the number whose sign or first digit is at `at`; nil when it is malformed.
local function skip_number(text, at)
  if byte(text, at) == MINUS then
    at = at + 1
  end
  local whole = byte(text, at) == ZERO and at + 1 or skip_digits(text, at)
  local next = byte(text, whole)
  if whole == at or next ~= POINT and next ~= LOWER_E and next ~= UPPER_E then
    return whole > at and whole or nil
  end
  local _, fraction = find(text, "^%.%d+", whole)
  local _, exponent = find(text, "^[eE][+-]?%d+", (fraction or whole - 1) + 1)
  local last = exponent or fraction
  return last and last + 1
end

-- Position after the number, `true`, `false` or `null` at `at`; nil when there is none.
local function skip_literal(text, at)
  local code = byte(text, at)
  if code == MINUS or code and code >= ZERO and code <= NINE then
    return skip_number(text, at)
  end
  local _, last = find(text, "^%l+", at)
  local literal = last and sub(text, at, last)
  return (literal == "true" or literal == "false" or literal == "null") and last + 1 or nil
end
