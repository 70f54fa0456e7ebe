-- HEAD is answered as GET is, without the body (RFC 9110 section 9.3.2). Stands before all other filters, so that none of
-- them needs to know: it sees the request first and the response last, whatever others made of its body.

local SCRIPT = "kontena.head"

function envoy_on_request(handle)
  local headers = handle:headers()
  headers:replace(":method", "GET")
  -- Nobody would read what follows.
  local path = headers:get(":path"):gsub("([?&])follow=[^&]*", "%1")
  headers:replace(":path", path)
  handle:streamInfo():dynamicMetadata():set(SCRIPT, "asked", true)
end

function envoy_on_response(handle)
  -- Answers to what was no request at all come here as well.
  local said = handle:streamInfo():dynamicMetadata():get(SCRIPT)
  if not said then
    return
  end
  for chunk in handle:bodyChunks() do
    chunk:setBytes("")
  end
end
