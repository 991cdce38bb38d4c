#pragma once

#include <string_view>

namespace varve::commands {

// Whether `text` matches the glob `pattern` as Redis understands it: * ? [abc] [^a-z] and \c, over
// bytes; a bracket that is not closed ends with the pattern.
// Limits: a pattern of many stars costs O(pattern * text), never more (Redis recurses into
// exponential time): the place to come back to is that of the last star only.
bool GlobMatch(std::string_view pattern, std::string_view text, bool ignore_case = false);

// False if `pattern` matches itself only.
bool HasGlob(std::string_view pattern);

}  // namespace varve::commands
