#pragma once

#include <string>

namespace varve::server {

std::string HelpText();     // of --help: usage and all options
std::string VersionText();  // of --version, one line

}  // namespace varve::server
