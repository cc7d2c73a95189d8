-- One image a request; at the end, what failed as one line of JSON.
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
local rows = {}
for i = 1, 28 do rows[i] = "[" .. string.rep("0,", 27) .. "0]" end
wrk.body = '{"instances": [[' .. table.concat(rows, ",") .. ']]}'

function response(status, headers, body)
  if status ~= 200 then io.stderr:write(status .. " " .. body .. "\n") end
end

function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "connect": %d, "read": %d, "write": %d, "timeout": %d, "status": %d, "p99_ms": %.1f}\n',
    summary.requests, e.connect, e.read, e.write, e.timeout, e.status, latency:percentile(99) / 1000))
end
