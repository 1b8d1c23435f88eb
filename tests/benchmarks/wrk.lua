-- Sends the requests of a plan in their order and counts the statuses. One thread only: `wrk -t1 -s wrk.lua URL -- PLAN`.
-- A line of the plan is a method, a blank, a path, a tab and a body. The headers come in the environment variable BENCH_HEADERS.
-- At the end of the plan it stops, or begins again where BENCH_AGAIN is set.
-- The time goes from the first request to the last answer: a plan may be shorter than the load was to be.
local ffi = require('ffi')
ffi.cdef('struct moment { long seconds, nanoseconds; }; int clock_gettime(int clock, struct moment *at);')
local moment = ffi.new('struct moment')
local function now()
  ffi.C.clock_gettime(1, moment)
  return tonumber(moment.seconds) + tonumber(moment.nanoseconds) / 1e9
end

local lines, position, head = {}, 0, ''
local again = os.getenv('BENCH_AGAIN') ~= nil
statuses, began, ended, answers = {}, nil, 0, 0

local threads = {}
function setup(thread) threads[#threads + 1] = thread end

function init(arguments)
  for line in io.lines(arguments[1]) do lines[#lines + 1] = line end
  head = ' HTTP/1.1\r\nHost: ' .. wrk.host .. ':' .. wrk.port .. '\r\n' .. (os.getenv('BENCH_HEADERS') or '')
end

function request()
  began = began or now()
  position = position + 1
  if position > #lines then
    if not again then wrk.thread:stop() end
    position = 1
  end
  local target, body = string.match(lines[position], '([^\t]*)\t(.*)')
  return target .. head .. 'Content-Length: ' .. #body .. '\r\n\r\n' .. body
end

function response(status)
  ended, answers = now(), answers + 1
  statuses[status] = (statuses[status] or 0) + 1
end

function done(summary, latency)
  local thread, counts = threads[1], {}
  for status, count in pairs(thread:get('statuses')) do counts[#counts + 1] = '"' .. status .. '":' .. count end
  local errors = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  local seconds = math.max(thread:get('ended') - (thread:get('began') or 0), 0)
  io.write(string.format('\nBENCH {"requests":%d,"seconds":%.6f,"errors":%d,"p50_ms":%.4f,"p99_ms":%.4f,"max_ms":%.4f,'
    .. '"statuses":{%s}}\n', thread:get('answers'), seconds, errors, latency:percentile(50) / 1000,
    latency:percentile(99) / 1000, latency.max / 1000, table.concat(counts, ',')))
end
