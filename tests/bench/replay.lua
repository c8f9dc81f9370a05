-- Sends the requests of a file one after the other, each once: lines of a length, then that many bytes.
-- wrk's Lua cannot hash, so the signatures are made beforehand. Its answers are counted by status.
local requests, nextOne = {}, 0

function init(args)
  local file = assert(io.open(args[1], "rb"))
  while true do
    local length = file:read("*n")
    if not length then break end
    file:read(1)
    requests[#requests + 1] = file:read(length)
  end
  file:close()
end

function request()
  nextOne = nextOne + 1
  if nextOne > #requests then
    wrk.thread:stop()
    nextOne = #requests
  end
  return requests[nextOne]
end

function done(summary, latency, requests)
  io.stderr:write(string.format(
    "wrk: requests=%d microseconds=%d refused=%d broken=%d p50=%d p99=%d\n",
    summary.requests, summary.duration, summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
