-- Answers whether an address may open one more connection: a RateLimitResponse (envoy.service.ratelimit.v3) with
-- `overall_code` OK (1) or OVER_LIMIT (2), its only field that counts.
function envoy_on_request(handle)
  local over = handle:headers():get("x-over-limit")
  -- An answer before the end of the question would reset its stream.
  handle:body()
  handle:respond(
    {[":status"] = "200", ["content-type"] = "application/x-protobuf"},
    over and "\8\2" or "\8\1"
  )
end
