#include "commands/help.h"

#include <fmt/format.h>

namespace varve::commands {

void ReplyWithHelp(Call& call, std::string_view container,
                   std::span<const std::string_view> lines) {
  call.reply.Array(lines.size() + 3);
  call.reply.SimpleString(
      fmt::format("{} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:", container));
  for (const std::string_view line : lines) call.reply.SimpleString(line);
  call.reply.SimpleString("HELP");
  call.reply.SimpleString("    Prints this help.");
}

}  // namespace varve::commands
