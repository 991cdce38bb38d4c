#include "server/config_source.h"

#include <glob.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "server/option_values.h"
#include "server/version.h"

namespace varve::server {
namespace {

using engine::Errc;
using engine::Fail;
using engine::Result;

constexpr int kIncludeDepthMax = 16;  // a file that includes itself must not recurse for ever

bool IsBlank(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Reads what follows a backslash in double quotes; `at` stands behind the backslash.
char Unescape(std::string_view line, size_t& at) {
  const char c = line[at++];
  if (c == 'x' && at + 1 < line.size() && HexDigit(line[at]) >= 0 && HexDigit(line[at + 1]) >= 0) {
    at += 2;
    return static_cast<char>(HexDigit(line[at - 2]) * 16 + HexDigit(line[at - 1]));
  }
  constexpr std::string_view kNames = "nrtba";
  constexpr std::string_view kMeanings = "\n\r\t\b\a";
  const size_t known = kNames.find(c);
  return known == kNames.npos ? c : kMeanings[known];
}

// Reads a quoted part up to its closing quote, which must end the word. False if it does not.
bool ReadQuoted(std::string_view line, size_t& at, std::string& word) {
  const char quote = line[at++];
  while (at < line.size() && line[at] != quote) {
    if (line[at] != '\\' || at + 1 == line.size()) {
      word += line[at++];
    } else if (quote == '"') {
      word += Unescape(line, ++at);
    } else {  // in single quotes only \' is special
      if (line[at + 1] == '\'') ++at;
      word += line[at++];
    }
  }
  if (at == line.size()) return false;
  ++at;
  return at == line.size() || IsBlank(line[at]);
}

std::string LowerCase(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
  return lower;
}

Result<void> AppendDirectives(std::string_view text, const std::string& source, int depth,
                              std::vector<Directive>& directives);

Result<void> AppendFile(const std::string& path, int depth, std::vector<Directive>& directives) {
  if (depth > kIncludeDepthMax) {
    return Fail(Errc::kInvalidArgument,
                "Fatal error, can't open config file '{}': files include each other more than {} "
                "deep",
                path, kIncludeDepthMax);
  }
  std::ifstream file(path);
  std::stringstream text;
  if (!file || !(text << file.rdbuf())) {
    // An empty file sets failbit too: nothing was inserted.
    if (!file.is_open() || file.bad()) {
      return Fail(Errc::kInvalidArgument, "Fatal error, can't open config file '{}': {}", path,
                  std::strerror(errno));
    }
  }
  return AppendDirectives(text.str(), path, depth, directives);
}

Result<void> Include(const Directive& directive, int depth, std::vector<Directive>& directives) {
  if (directive.arguments.size() != 1) {
    return Fail(Errc::kInvalidArgument, "{}",
                DescribeProblem(directive, "wrong number of arguments: include takes one path"));
  }
  glob_t found{};
  std::vector<std::string> paths;
  if (glob(directive.arguments[0].c_str(), 0, nullptr, &found) == 0) {
    paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  } else {
    paths = {directive.arguments[0]};  // whose absence is then reported
  }
  globfree(&found);
  for (const std::string& path : paths) TRY(AppendFile(path, depth + 1, directives));
  return {};
}

Result<void> AppendDirectives(std::string_view text, const std::string& source, int depth,
                              std::vector<Directive>& directives) {
  int line_number = 0;
  while (!text.empty()) {
    ++line_number;
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    while (!line.empty() && IsBlank(line.front())) line.remove_prefix(1);
    while (!line.empty() && IsBlank(line.back())) line.remove_suffix(1);
    if (line.empty() || line.front() == '#') continue;
    Directive directive{.source = fmt::format("{}, at line {}", source, line_number),
                        .text = std::string(line),
                        .name = {},
                        .arguments = {}};
    std::optional<std::vector<std::string>> words = SplitArguments(line);
    if (!words) {
      return Fail(Errc::kInvalidArgument, "{}",
                  DescribeProblem(directive, "Unbalanced quotes in configuration line"));
    }
    directive.name = LowerCase(words->front());
    directive.arguments.assign(words->begin() + 1, words->end());
    if (directive.name == "include") {
      TRY(Include(directive, depth, directives));
    } else {
      directives.push_back(std::move(directive));
    }
  }
  return {};
}

}  // namespace

std::optional<std::vector<std::string>> SplitArguments(std::string_view line) {
  std::vector<std::string> words;
  size_t at = 0;
  for (;;) {
    while (at < line.size() && IsBlank(line[at])) ++at;
    if (at == line.size()) return words;
    std::string word;
    while (at < line.size() && !IsBlank(line[at])) {
      if (line[at] == '"' || line[at] == '\'') {
        if (!ReadQuoted(line, at, word)) return std::nullopt;
        break;
      }
      word += line[at++];
    }
    words.push_back(std::move(word));
  }
}

Result<CommandLine> ReadCommandLine(std::span<const std::string> arguments) {
  CommandLine result;
  size_t index = 0;
  if (!arguments.empty()) {
    const std::string& first = arguments[0];
    result.help = first == "--help" || first == "-h";
    result.version = first == "--version" || first == "-v";
    if (result.help || result.version) return result;
    if (first.empty() || first[0] != '-') {
      result.config_file = first;
      index = 1;
    }
  }
  bool name_needs_value = false;  // then even "--x" is its value, as in `--logfile --odd-name`
  for (; index < arguments.size(); ++index) {
    const std::string& argument = arguments[index];
    if (argument == "-" && (index == 0 || index + 1 == arguments.size())) {
      result.from_stdin = true;
      continue;
    }
    if (!name_needs_value && argument.starts_with("--") && argument.size() > 2) {
      // "--port 6380" in one argument is a name and its value, too.
      const std::optional<std::vector<std::string>> words = SplitArguments(argument.substr(2));
      if (!words || words->empty()) {
        return Fail(Errc::kInvalidArgument, "'{}' on the command line: unbalanced quotes",
                    argument);
      }
      result.directives.push_back({.source = "the command line",
                                   .text = argument,
                                   .name = LowerCase(words->front()),
                                   .arguments = {words->begin() + 1, words->end()}});
      const bool no_value_follows =
          index + 1 == arguments.size() || arguments[index + 1].starts_with("--");
      // `--save` without a value means `--save ""`, which scripts that build command lines rely on.
      if (words->size() == 1 && words->front() == "save" && no_value_follows) {
        result.directives.back().arguments = {""};
      } else {
        name_needs_value = words->size() == 1;
      }
      continue;
    }
    if (result.directives.empty()) {
      return Fail(Errc::kInvalidArgument,
                  "'{}' on the command line is no option: give one configuration file first, then "
                  "`--name value` pairs; `varve-server --help` lists them",
                  argument);
    }
    Directive& directive = result.directives.back();
    directive.arguments.push_back(argument);
    directive.text += " \"" + argument + "\"";
    name_needs_value = false;
  }
  return result;
}

Result<std::vector<Directive>> ReadConfigFile(const std::string& path) {
  std::vector<Directive> directives;
  TRY(AppendFile(path, 0, directives));
  return directives;
}

Result<std::vector<Directive>> ReadConfigText(std::string_view text, const std::string& source) {
  std::vector<Directive> directives;
  TRY(AppendDirectives(text, source, 0, directives));
  return directives;
}

std::string DescribeProblem(const Directive& directive, std::string_view problem) {
  return fmt::format(
      "\n*** FATAL CONFIG FILE ERROR (Varve {}) ***\n"
      "Reading the configuration: {}\n"
      ">>> '{}'\n"
      "{}\n",
      kVersion, directive.source, directive.text, problem);
}

}  // namespace varve::server
