-- What wrk sends: BENCH_METHOD, BENCH_BODY (in hexadecimal; each %N is a number that no other request has), BENCH_TYPE of
-- the body, BENCH_TOKEN. It prints one line of JSON at the end.
local threads = 0

function setup(thread)
   thread:set("number", threads)
   threads = threads + 1
end

function init()
   sent = 0
   method = os.getenv("BENCH_METHOD")
   body = os.getenv("BENCH_BODY"):gsub("%x%x", function(code) return string.char(tonumber(code, 16)) end)
   run = os.getenv("BENCH_RUN")
   headers = {["Accept"] = "application/json"}
   local token = os.getenv("BENCH_TOKEN")
   if token ~= "" then headers["Authorization"] = "Bearer " .. token end
   if body ~= "" then headers["Content-Type"] = os.getenv("BENCH_TYPE") end
   if headers["Content-Type"] == "application/grpc" then headers["TE"] = "trailers" end
   same = wrk.format(method, nil, headers, nil)
end

function request()
   if body == "" then return same end
   sent = sent + 1
   local text = body:gsub("%%N", run .. "x" .. number .. "x" .. sent)
   return wrk.format(method, nil, headers, text)
end

function done(summary, latency)
   local failed = summary.errors
   io.write(string.format(
      '\n{"requests": %d, "seconds": %f, "p50": %f, "p99": %f, "failed": %d}\n',
      summary.requests, summary.duration / 1e6, latency:percentile(50) / 1000, latency:percentile(99) / 1000,
      failed.status + failed.connect + failed.read + failed.write + failed.timeout))
end
