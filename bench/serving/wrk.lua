-- Sends bodies of a file, each with another first pixel, so that none is repeated.
-- Arguments: file, length of a body, bytes before the hole, bytes of the hole, number of the first request,
-- then the headers, each as "name: value".
local ffi = require("ffi")

local before, after = {}, {}
local head, hole, number
local float = ffi.new("float[1]")

function init(args)
  local file, size, at = args[1], tonumber(args[2]), tonumber(args[3])
  hole, number = tonumber(args[4]), tonumber(args[5])
  local lines = {"POST " .. wrk.path .. " HTTP/1.1", "host: " .. wrk.host, "content-length: " .. size}
  for i = 6, #args do lines[#lines + 1] = args[i] end
  head = table.concat(lines, "\r\n") .. "\r\n\r\n"
  local input = assert(io.open(file, "rb"))
  local body = input:read(size)
  while body do
    before[#before + 1] = head .. body:sub(1, at)
    after[#after + 1] = body:sub(at + hole + 1)
    body = input:read(size)
  end
  input:close()
end

-- Four bytes are a float, six are the text of a number with four decimals.
local function pixel(round)
  if hole == 6 then return string.format("0.%04d", round % 10000) end
  float[0] = round / 16777216
  return ffi.string(float, 4)
end

function request()
  local i = number % #before + 1
  local text = before[i] .. pixel(math.floor(number / #before)) .. after[i]
  number = number + 1
  return text
end

function done(summary, latency, _)
  local e = summary.errors
  print(string.format('{"requests": %d, "seconds": %f, "p50": %f, "p99": %f, "bad": %d, "broken": %d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e6, latency:percentile(99) / 1e6,
    e.status, e.connect + e.read + e.write + e.timeout))
end
