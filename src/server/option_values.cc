#include "server/option_values.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

namespace varve::server {
namespace {

using engine::Errc;
using engine::Fail;

template <typename T>
struct Name {
  std::string_view text;
  T value;
};

constexpr Name<engine::SyncMode> kSyncModes[] = {{"always", engine::SyncMode::kAlways},
                                                 {"everysec", engine::SyncMode::kEverySecond},
                                                 {"no", engine::SyncMode::kNever}};
constexpr Name<engine::LastLevelCompression> kLastLevelCompressions[] = {
    {"zstd", engine::LastLevelCompression::kZstd},
    {"snappy", engine::LastLevelCompression::kSnappy}};
constexpr Name<LogLevel> kLogLevels[] = {{"debug", LogLevel::kDebug},
                                         {"verbose", LogLevel::kVerbose},
                                         {"notice", LogLevel::kNotice},
                                         {"warning", LogLevel::kWarning}};
constexpr Name<DebugAccess> kDebugAccess[] = {
    {"no", DebugAccess::kNo}, {"yes", DebugAccess::kYes}, {"local", DebugAccess::kLocal}};
// "slave" is what CONFIG GET answers in Redis 7, "replica" what one writes.
constexpr std::string_view kOutputClasses[] = {"normal", "slave", "pubsub"};

Result<std::string_view> OneArgument(std::span<const std::string> arguments) {
  if (arguments.size() != 1) return Fail(Errc::kInvalidArgument, "wrong number of arguments");
  return std::string_view(arguments[0]);
}

template <typename T>
Result<void> ParseName(std::span<const std::string> arguments, std::span<const Name<T>> names,
                       T& value) {
  TRY_ASSIGN(const std::string_view text, OneArgument(arguments));
  std::string all;
  for (const Name<T>& name : names) {
    if (EqualsIgnoringCase(name.text, text)) {
      value = name.value;
      return {};
    }
    all += all.empty() ? "" : ", ";
    all += name.text;
  }
  return Fail(Errc::kInvalidArgument, "argument(s) must be one of the following: {}", all);
}

template <typename T>
std::string FormatName(std::span<const Name<T>> names, T value) {
  for (const Name<T>& name : names) {
    if (name.value == value) return std::string(name.text);
  }
  INVARIANT(false && "an enumerator without a name");
}

std::optional<uint64_t> ParseNumber(std::string_view text, int base) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

Result<uint64_t> ParseSeconds(std::string_view text) {
  const std::optional<uint64_t> number = ParseNumber(text, 10);
  if (!number) return Fail(Errc::kInvalidArgument, "argument couldn't be parsed into an integer");
  return *number;
}

std::optional<size_t> FindOutputClass(std::string_view name) {
  if (EqualsIgnoringCase(name, "replica")) return 1;
  for (size_t i = 0; i < kOutputClassCount; ++i) {
    if (EqualsIgnoringCase(name, kOutputClasses[i])) return i;
  }
  return std::nullopt;
}

}  // namespace

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::ranges::equal(a, b, {}, lower, lower);
}

std::vector<std::string> SplitWords(std::string_view text) {
  std::vector<std::string> words;
  size_t begin = 0;
  while ((begin = text.find_first_not_of(" \t", begin)) != text.npos) {
    const size_t end = std::min(text.find_first_of(" \t", begin), text.size());
    words.emplace_back(text.substr(begin, end - begin));
    begin = end;
  }
  return words;
}

Result<uint64_t> ParseBytes(std::string_view text) {
  static constexpr Name<uint64_t> kSuffixes[] = {{"", 1},
                                                 {"b", 1},
                                                 {"k", 1000},
                                                 {"kb", 1ull << 10},
                                                 {"m", 1000'000},
                                                 {"mb", 1ull << 20},
                                                 {"g", 1000'000'000},
                                                 {"gb", 1ull << 30},
                                                 {"t", 1000'000'000'000},
                                                 {"tb", 1ull << 40}};
  const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const std::optional<uint64_t> number = ParseNumber(text.substr(0, digits), 10);
  for (const auto& [suffix, factor] : kSuffixes) {
    if (!number || !EqualsIgnoringCase(text.substr(digits), suffix)) continue;
    if (*number > UINT64_MAX / factor) break;
    return *number * factor;
  }
  return Fail(Errc::kInvalidArgument, "argument must be a memory value");
}

Result<void> ParseValue(const Option&, std::span<const std::string> arguments, bool& value) {
  TRY_ASSIGN(const std::string_view text, OneArgument(arguments));
  const bool yes = EqualsIgnoringCase(text, "yes");
  if (!yes && !EqualsIgnoringCase(text, "no")) {
    return Fail(Errc::kInvalidArgument, "argument must be 'yes' or 'no'");
  }
  value = yes;
  return {};
}

Result<void> ParseValue(const Option& option, std::span<const std::string> arguments,
                        uint64_t& value) {
  TRY_ASSIGN(const std::string_view text, OneArgument(arguments));
  uint64_t number = 0;
  if (option.unit == Unit::kBytes) {
    TRY_ASSIGN(number, ParseBytes(text));
  } else {
    const bool octal = option.unit == Unit::kOctal;
    const std::optional<uint64_t> parsed = ParseNumber(text, octal ? 8 : 10);
    if (!parsed) {
      return Fail(Errc::kInvalidArgument, "argument couldn't be parsed {}",
                  octal ? "as an octal number" : "into an integer");
    }
    number = *parsed;
  }
  if (number < option.min || number > option.max) {
    return Fail(Errc::kInvalidArgument, "argument must be between {} and {} inclusive",
                FormatValue(option, option.min), FormatValue(option, option.max));
  }
  value = number;
  return {};
}

Result<void> ParseValue(const Option&, std::span<const std::string> arguments, std::string& value) {
  TRY_ASSIGN(const std::string_view text, OneArgument(arguments));
  value = text;
  return {};
}

Result<void> ParseValue(const Option&, std::span<const std::string> arguments,
                        std::vector<std::string>& value) {
  std::vector<std::string> words;
  for (const std::string& argument : arguments) {  // "a b" in quotes is two, as in Redis
    for (std::string& word : SplitWords(argument)) words.push_back(std::move(word));
  }
  value = std::move(words);
  return {};
}

Result<void> ParseValue(const Option&, std::span<const std::string> arguments,
                        OutputLimits& value) {
  std::vector<std::string> words;
  for (const std::string& argument : arguments) {
    for (std::string& word : SplitWords(argument)) words.push_back(std::move(word));
  }
  if (words.empty() || words.size() % 4 != 0) {
    return Fail(Errc::kInvalidArgument, "Wrong number of arguments in buffer limit configuration.");
  }
  for (size_t i = 0; i < words.size(); i += 4) {
    const std::optional<size_t> index = FindOutputClass(words[i]);
    if (!index) {
      return Fail(Errc::kInvalidArgument,
                  "Invalid client class specified in buffer limit configuration.");
    }
    const Result<uint64_t> hard = ParseBytes(words[i + 1]);
    const Result<uint64_t> soft = ParseBytes(words[i + 2]);
    const Result<uint64_t> seconds = ParseSeconds(words[i + 3]);
    if (!hard || !soft || !seconds) {
      return Fail(Errc::kInvalidArgument,
                  "Error in hard, soft or soft_seconds setting in buffer limit configuration.");
    }
    value[*index] = {.hard_bytes = *hard, .soft_bytes = *soft, .soft_seconds = *seconds};
  }
  return {};
}

Result<void> ParseValue(const Option&, std::span<const std::string> arguments,
                        engine::SyncMode& value) {
  return ParseName<engine::SyncMode>(arguments, kSyncModes, value);
}
Result<void> ParseValue(const Option&, std::span<const std::string> arguments,
                        engine::LastLevelCompression& value) {
  return ParseName<engine::LastLevelCompression>(arguments, kLastLevelCompressions, value);
}
Result<void> ParseValue(const Option&, std::span<const std::string> arguments, LogLevel& value) {
  return ParseName<LogLevel>(arguments, kLogLevels, value);
}
Result<void> ParseValue(const Option&, std::span<const std::string> arguments, DebugAccess& value) {
  return ParseName<DebugAccess>(arguments, kDebugAccess, value);
}

std::string FormatValue(const Option&, bool value) { return value ? "yes" : "no"; }

std::string FormatValue(const Option& option, uint64_t value) {
  return option.unit == Unit::kOctal ? fmt::format("{:o}", value) : fmt::format("{}", value);
}

std::string FormatValue(const Option&, const std::string& value) { return value; }

std::string FormatValue(const Option&, const std::vector<std::string>& value) {
  return fmt::format("{}", fmt::join(value, " "));
}

std::string FormatValue(const Option&, const OutputLimits& value) {
  std::string text;
  for (size_t i = 0; i < value.size(); ++i) {
    fmt::format_to(std::back_inserter(text), "{}{} {} {} {}", i == 0 ? "" : " ", kOutputClasses[i],
                   value[i].hard_bytes, value[i].soft_bytes, value[i].soft_seconds);
  }
  return text;
}

std::string FormatValue(const Option&, engine::SyncMode value) {
  return FormatName<engine::SyncMode>(kSyncModes, value);
}
std::string FormatValue(const Option&, engine::LastLevelCompression value) {
  return FormatName<engine::LastLevelCompression>(kLastLevelCompressions, value);
}
std::string FormatValue(const Option&, LogLevel value) {
  return FormatName<LogLevel>(kLogLevels, value);
}
std::string FormatValue(const Option&, DebugAccess value) {
  return FormatName<DebugAccess>(kDebugAccess, value);
}

}  // namespace varve::server
