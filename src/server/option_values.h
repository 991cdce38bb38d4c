#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/error.h"
#include "server/options.h"

// Parsing and printing of the values of options, one pair of functions per type. Only options.cc
// uses them. Errors are kInvalidArgument in the words that redis-server 7 uses.
namespace varve::server {

using engine::Result;

Result<void> ParseValue(const Option&, std::span<const std::string> arguments, bool& value);
Result<void> ParseValue(const Option&, std::span<const std::string> arguments, uint64_t& value);
Result<void> ParseValue(const Option&, std::span<const std::string> arguments, std::string& value);
Result<void> ParseValue(const Option&, std::span<const std::string> arguments,
                        std::vector<std::string>& value);
// Classes that are not named keep their limits.
Result<void> ParseValue(const Option&, std::span<const std::string> arguments, OutputLimits& value);
Result<void> ParseValue(const Option&, std::span<const std::string> arguments,
                        engine::SyncMode& value);
Result<void> ParseValue(const Option&, std::span<const std::string> arguments,
                        engine::LastLevelCompression& value);
Result<void> ParseValue(const Option&, std::span<const std::string> arguments, LogLevel& value);
Result<void> ParseValue(const Option&, std::span<const std::string> arguments, DebugAccess& value);

std::string FormatValue(const Option&, bool value);
std::string FormatValue(const Option&, uint64_t value);
std::string FormatValue(const Option&, const std::string& value);
std::string FormatValue(const Option&, const std::vector<std::string>& value);
std::string FormatValue(const Option&, const OutputLimits& value);
std::string FormatValue(const Option&, engine::SyncMode value);
std::string FormatValue(const Option&, engine::LastLevelCompression value);
std::string FormatValue(const Option&, LogLevel value);
std::string FormatValue(const Option&, DebugAccess value);

bool EqualsIgnoringCase(std::string_view a, std::string_view b);
std::vector<std::string> SplitWords(std::string_view text);  // at blanks

}  // namespace varve::server
