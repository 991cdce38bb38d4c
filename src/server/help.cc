#include "server/help.h"

#include <fmt/format.h>

#include "server/options.h"
#include "server/process_figures.h"
#include "server/version.h"

namespace varve::server {

std::string HelpText() {
  std::string text =
      "Usage: varve-server [/path/to/varve.conf] [-] [--name value ...]\n"
      "       varve-server --version | --help\n\n"
      "The file, then standard input (-), then the options given here are read; the last word\n"
      "counts. Sizes may end in kb, mb, gb (powers of 1024) or k, m, g (powers of 1000).\n\n"
      "Examples:\n"
      "       varve-server --port 7777 --dir /var/lib/varve\n"
      "       varve-server /etc/varve.conf --appendfsync always --loglevel verbose\n\n"
      "Options, with their defaults (* can be changed by CONFIG SET):\n";
  for (const Option& option : Options()) {
    if (std::holds_alternative<FixedValue>(option.field)) continue;
    fmt::format_to(std::back_inserter(text), "  --{} {}{}\n        {}\n", option.name,
                   option.default_text, option.at_runtime ? " *" : "", option.doc);
  }
  text += "\nKnown, but with one value only:\n";
  for (const Option& option : Options()) {
    if (!std::holds_alternative<FixedValue>(option.field)) continue;
    fmt::format_to(std::back_inserter(text), "  --{} {}\n        {}\n", option.name,
                   option.default_text, option.doc);
  }
  return text;
}

std::string VersionText() {
  return fmt::format("Varve server v={} malloc={} bits={}\n", kVersion,
                     ReadMemoryFigures().allocator, sizeof(void*) * 8);
}

}  // namespace varve::server
