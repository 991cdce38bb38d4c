#pragma once

#include <string>
#include <string_view>

namespace varve::commands {

// Error replies that several commands share.
inline constexpr std::string_view kSyntaxError = "ERR syntax error";
inline constexpr std::string_view kNotAnInteger = "ERR value is not an integer or out of range";

// Option names and the like compare without case, ASCII only. `lower` is in lower case.
bool EqualsIgnoringCase(std::string_view text, std::string_view lower);
std::string ToLower(std::string_view text);
std::string ToUpper(std::string_view text);

}  // namespace varve::commands
