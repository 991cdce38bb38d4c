#pragma once

#include <memory>
#include <string>

#include "engine/error.h"
#include "server/settings.h"

namespace spdlog {
class logger;
}

namespace varve::server {

// The log of the process: lines in Redis's form, "pid:M dd Mon yyyy hh:mm:ss.mmm * text", on
// standard output, or appended to `path`, which is opened anew for each line so that a rotated file
// is let go. spdlog's levels stand for Redis's: trace is debug '.', debug is verbose '-', info is
// notice '*', warn and above are warning '#'.
// Errors: kInvalidArgument if `path` cannot be written.
engine::Result<std::shared_ptr<spdlog::logger>> OpenLog(const std::string& path, LogLevel level);

void SetLogLevel(spdlog::logger& log, LogLevel level);

}  // namespace varve::server
