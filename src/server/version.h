#pragma once

#include <string_view>

namespace varve::server {

inline constexpr std::string_view kVersion = "0.1.0";

}  // namespace varve::server
