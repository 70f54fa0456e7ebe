-- The part of the HTTP contract that the transcoder cannot express (README.md). Stands before it in the filter list:
-- it sees the request as the client sent it, and the response as the transcoder made it.

-- Per level. Services take 8 KiB of metadata in all.
local BODY_FIELDS_LIMIT = 1024
local RETRY_SECONDS = "1"
local INVALID_JSON = "Invalid json"
local JSON = "application/json"
local WITH_BODY = { POST = true, PUT = true, PATCH = true, DELETE = true }
local INTERNAL = { ["x-body-fields"] = true, ["x-http-status"] = true, ["x-error-json"] = true }
local INTERNAL_ERROR = "Internal server error"
local HIDDEN_CODES = { ["2"] = INTERNAL_ERROR, ["13"] = INTERNAL_ERROR, ["15"] = INTERNAL_ERROR } -- UNKNOWN, INTERNAL, DATA_LOSS
local NOT_FOR_CLIENTS = {
  "x-http-status", "x-error-json", "x-server-stopping", "grpc-status", "grpc-message", "grpc-status-details-bin",
  "grpc-accept-encoding", "grpc-encoding", "x-envoy-upstream-healthchecked-cluster",
}

local function is_grpc(content_type)
  return content_type ~= nil and (content_type == "application/grpc" or content_type:sub(1, 17) == "application/grpc+")
end

-- Headers no client may send: ours, and names HTTP allows but gRPC metadata does not, which break the call. For REST
-- callers also those that would steer or break the gRPC call made for them.
local function unwanted(name, value, grpc)
  if INTERNAL[name] or name:sub(1, 8) == "x-envoy-" or name:find("[^%w_.%-]") then
    return true
  end
  return not grpc and (name:sub(1, 5) == "grpc-" or name:sub(-4) == "-bin" or value:find("[^\32-\126]") ~= nil)
end

local function remove_unwanted(headers, grpc)
  local names = {}
  for name, value in pairs(headers) do
    if name:sub(1, 1) ~= ":" and unwanted(name, value, grpc) then
      names[#names + 1] = name
    end
  end
  for _, name in ipairs(names) do
    headers:remove(name)
  end
end

-- Query parameter names in their plain spelling: the transcoder would decode `i%64` only after it has looked for the
-- names that may not override the path (filters.py).
local function plain_query_names(path)
  local mark = path and path:find("?", 1, true) -- CONNECT has none.
  if not mark or not path:find("%", mark, true) then
    return nil
  end
  local query = path:sub(mark + 1):gsub("[^&]+", function(pair)
    local name, rest = pair:match("^([^=]*)(.*)$")
    return name:gsub("%%(%x%x)", function(hex)
      local letter = string.char(tonumber(hex, 16))
      return letter:find("^[%w_.~-]") and letter or "%" .. hex
    end) .. rest
  end)
  return path:sub(1, mark) .. query
end

-- A deploy that is followed: lines are the answer of another RPC, and the transcoder looks at no query to choose one.
local function following_deploy(method, path)
  local deploy, query = path:match("^(/v1/s[^?]*/deploy)(%?.*)$")
  local value = method == "POST" and deploy and (query .. "&"):match("[?&]follow=([^&]*)&")
  if value and value ~= "" and value ~= "0" and value ~= "false" then
    return deploy .. "/follow" .. query
  end
end

-- Whether the body is a free document, in which a number is a number.
local function is_free(path)
  for _, prefix in ipairs(FREE_BODIES) do
    if path:sub(1, #prefix) == prefix then
      return true
    end
  end
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local grpc = is_grpc(headers:get("content-type"))
  remove_unwanted(headers, grpc)
  local path = not grpc and plain_query_names(headers:get(":path"))
  if path then
    headers:replace(":path", path)
  end
  local follow = not grpc and following_deploy(headers:get(":method"), headers:get(":path") or "")
  if follow then
    headers:replace(":path", follow)
  end
  if grpc or not WITH_BODY[headers:get(":method")] or headers:get(":path"):sub(1, 4) ~= "/v1/" then
    return
  end
  local body = handle:body(true)
  headers = handle:headers() -- The ones got before the wait are dead.
  local size = body:length()
  if size == 0 then
    headers:replace("x-body-fields", "")
    return
  end
  local text = body:getBytes(0, size)
  local paths = member_paths(text, BODY_FIELDS_LIMIT)
  if not paths then
    -- local_replies.py puts the text into an error document.
    handle:respond({ [":status"] = "400" }, INVALID_JSON)
    return
  end
  headers:replace("x-body-fields", paths)
  local quoted = not is_free(headers:get(":path")) and with_texts_quoted(text)
  if quoted then
    body:setBytes(quoted)
    headers:replace("content-length", tostring(#quoted))
  end
end

-- Status and text for gRPC errors that no interceptor of ours worded: the runtime made them before our code ran.
local function own_words(code, text)
  if text:find("google.protobuf.message.DecodeError", 1, true) then
    return "400", "Invalid request"
  elseif text:find("eceived message larger than max", 1, true) then
    return "413", "Request body too large"
  elseif text:find("received metadata size exceeds", 1, true) then
    return "431", "Request headers too large"
  end
  -- May tell too much.
  return nil, HIDDEN_CODES[code]
end

-- HTTP status (or nil) and `{"error": <message>}` from the transcoder's rendering of a gRPC status; nothing when
-- `body` is something else.
local function error_from_status(body)
  local _, comma, code = body:find('^{"code":(%d+),"message":')
  local after = code and skip_string(body, comma + 1)
  if not after then
    return nil, nil
  end
  local quoted = body:sub(comma + 1, after - 1)
  local status, text = own_words(code, quoted)
  return status, '{"error":' .. (text and '"' .. text .. '"' or quoted) .. "}"
end

-- What the transcoder says of a body, in words that repeat nothing of it: it may hold a secret. Its parser shows the
-- place in lines of their own.
local function without_values(body)
  if body:find('^{"error":"[^"]*\\n') then
    return '{"error":"' .. INVALID_JSON .. '"}'
  end
  local member, kind = body:match('^{"error":"([^"]*): invalid value .* for type TYPE_([%u%d]+)"')
  if member then
    return '{"error":"' .. member .. ": isn't of the type " .. kind:lower() .. '"}'
  end
  -- It names no member when that of a body, which is the message itself, is an array or an object for no reason.
  return body:find('^{"error":": ') and '{"error":"' .. body:sub(13) or nil
end

local function set_body(headers, body, text)
  body:setBytes(text)
  headers:replace("content-type", JSON)
  headers:replace("content-length", tostring(#text))
end

-- Gives an error reply its body; returns the status the service asked for, if any. A service that had already sent
-- its headers says both in the trailers.
local function rewrite_error(handle)
  local body = handle:body(true)
  -- Handles got before `body` waited are dead after it.
  local headers = handle:headers()
  local status, text = headers:get("x-http-status"), headers:get("x-error-json")
  local trailers = not text and handle:trailers()
  if trailers then
    status, text = trailers:get("x-http-status") or status, trailers:get("x-error-json")
    local challenge = trailers:get("www-authenticate")
    if challenge then
      headers:replace("www-authenticate", challenge)
    end
  end
  if not text then
    local own_status
    local found = body:getBytes(0, body:length())
    own_status, text = error_from_status(found)
    status, text = status or own_status, text or without_values(found)
  end
  if text then
    set_body(headers, body, text)
  end
  return status
end

function envoy_on_response(handle)
  local headers = handle:headers()
  if is_grpc(headers:get("content-type")) then
    return
  end
  local status = headers:get("x-http-status")
  if tonumber(headers:get(":status")) >= 400 then
    status = rewrite_error(handle)
    headers = handle:headers()
  end
  if status and status:find("^[2-5]%d%d$") then
    headers:replace(":status", status)
  end
  if headers:get(":status") == "503" and not headers:get("retry-after") then
    headers:replace("retry-after", RETRY_SECONDS) -- No interceptor of ours worded it.
  end
  for _, name in ipairs(NOT_FOR_CLIENTS) do
    headers:remove(name)
  end
end
