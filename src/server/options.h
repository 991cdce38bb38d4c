#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/error.h"
#include "server/settings.h"

// The options as one table of data; parsing and printing of their values. Every way to set an
// option (file, command line, CONFIG SET) ends in ParseOption().
namespace varve::server {

enum class Unit { kNone, kSeconds, kBytes, kOctal };

// Where a value is kept; a fixed option has one truth here, which is its default, and no place.
struct FixedValue {};
using Field =
    std::variant<FixedValue, bool Settings::*, uint64_t Settings::*, std::string Settings::*,
                 std::vector<std::string> Settings::*, OutputLimits Settings::*,
                 engine::SyncMode Settings::*, engine::LastLevelCompression Settings::*,
                 LogLevel Settings::*, DebugAccess Settings::*>;

struct Option {
  std::string_view name;
  Field field;
  std::string_view default_text;  // as it would be written in a file
  bool at_runtime = false;        // CONFIG SET may change it
  Unit unit = Unit::kNone;
  uint64_t min = 0;
  uint64_t max = UINT64_MAX;
  std::string_view doc;  // one line for --help; of a fixed one: why it is fixed
};

std::span<const Option> Options();
// By name in any case; null when there is none.
const Option* FindOption(std::string_view name);

// Every option at its default, as the table says (0 where that means "find out").
Settings DefaultSettings();

// Sets the option from its arguments. Errors: kInvalidArgument with a text in Redis's words;
// `settings` is unchanged then.
engine::Result<void> ParseOption(const Option& option, std::span<const std::string> arguments,
                                 Settings& settings);

// As CONFIG GET shows it: bytes as a plain number, lists separated by spaces.
std::string FormatOption(const Option& option, const Settings& settings);

// "64mb" and the like as redis-server reads them: k m g count in thousands, kb mb gb in 1024.
engine::Result<uint64_t> ParseBytes(std::string_view text);

}  // namespace varve::server
