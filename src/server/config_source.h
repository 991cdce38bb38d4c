#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/error.h"

// Where options are written: the configuration file and the command line, cut into directives. What
// a directive means is not known here.
// Format: as redis-server 7 reads them: one directive per line, '#' starts a comment line, words in
//         "double quotes" (with \n \r \t \b \a \xHH escapes) or 'single quotes', `include path`.
namespace varve::server {

struct Directive {
  std::string source;  // "conf/varve.conf, at line 7", "the command line"
  std::string text;    // as it was written
  std::string name;    // in lower case
  std::vector<std::string> arguments;
};

struct CommandLine {
  bool help = false;
  bool version = false;
  std::optional<std::string> config_file;
  bool from_stdin = false;
  std::vector<Directive> directives;  // of `--name value...`
};

// Splits a line into words. Empty if quotes are not balanced.
std::optional<std::vector<std::string>> SplitArguments(std::string_view line);

// `arguments` without the program's name.
engine::Result<CommandLine> ReadCommandLine(std::span<const std::string> arguments);

// Errors: kInvalidArgument, a text of several lines that says where and what to do.
engine::Result<std::vector<Directive>> ReadConfigFile(const std::string& path);
engine::Result<std::vector<Directive>> ReadConfigText(std::string_view text,
                                                      const std::string& source);

// The message that a directive is wrong: where it stands, what it says, and why.
std::string DescribeProblem(const Directive& directive, std::string_view problem);

}  // namespace varve::server
