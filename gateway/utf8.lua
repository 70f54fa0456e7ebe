-- Checks UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF.
-- A service would refuse anything else as a malformed message, which clients would see as a fault of ours.

local byte = string.byte

-- Length of the sequence a lead byte starts, and the range of its second byte; nothing when it cannot lead.
local function sequence(lead)
  if lead >= 0xC2 and lead <= 0xDF then
    return 2, 0x80, 0xBF
  elseif lead >= 0xE0 and lead <= 0xEF then
    return 3, lead == 0xE0 and 0xA0 or 0x80, lead == 0xED and 0x9F or 0xBF
  elseif lead >= 0xF0 and lead <= 0xF4 then
    return 4, lead == 0xF0 and 0x90 or 0x80, lead == 0xF4 and 0x8F or 0xBF
  end
end

-- Position after the character of several bytes at `at`; nil when it is malformed.
local function skip_character(text, at)
  local length, low, high = sequence(byte(text, at))
  local second = byte(text, at + 1)
  if not length or not second or second < low or second > high then
    return nil
  end
  for position = at + 2, at + length - 1 do
    local continuation = byte(text, position)
    if not continuation or continuation < 0x80 or continuation > 0xBF then
      return nil
    end
  end
  return at + length
end
