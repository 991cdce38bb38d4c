#include "commands/server_commands.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "commands/dispatch.h"
#include "commands/help.h"
#include "commands/text.h"

namespace varve::commands {
namespace {

constexpr double kSleepSecondsMax = 1e6;

constexpr std::string_view kDebugHelp[] = {
    "SLEEP <seconds>",
    "    Let this connection wait for <seconds>. Decimals allowed. Others are not held up.",
};

// As strtod() takes it: what is no number is 0.
uint64_t SleepMicroseconds(std::string_view text) {
  const double seconds = std::strtod(std::string(text).c_str(), nullptr);
  if (!(seconds > 0)) return 0;
  return static_cast<uint64_t>(std::min(seconds, kSleepSecondsMax) * 1e6);
}

Run Sleep(Call& call) {
  Continuation& continuation = call.client.continuation;
  if (continuation.progress == nullptr) {
    continuation.progress = std::make_unique<Progress>();
    continuation.pause_us = SleepMicroseconds(call[2]);
    return Run::kYield;
  }
  call.reply.Ok();
  return Run::kDone;
}

}  // namespace

Run Time(Call& call) {
  const uint64_t now_us = call.dispatcher.host().UnixUs();
  call.reply.Array(2);
  call.reply.Bulk(fmt::to_string(now_us / 1000000));
  call.reply.Bulk(fmt::to_string(now_us % 1000000));
  return Run::kDone;
}

Run Shutdown(Call& call) {
  bool abort = false;
  bool save = false;
  bool no_save = false;
  ShutdownRequest request;
  for (size_t index = 1; index < call.size(); ++index) {
    // SAVE and NOSAVE are taken and mean the same: what was acknowledged is in the log anyway.
    if (EqualsIgnoringCase(call[index], "save")) {
      save = true;
    } else if (EqualsIgnoringCase(call[index], "nosave")) {
      no_save = true;
    } else if (EqualsIgnoringCase(call[index], "now")) {
      request.now = true;
    } else if (EqualsIgnoringCase(call[index], "force")) {
      request.force = true;
    } else if (EqualsIgnoringCase(call[index], "abort")) {
      abort = true;
    } else {
      call.reply.Error(kSyntaxError);
      return Run::kDone;
    }
  }
  const bool other = save || no_save || request.now || request.force;
  if ((abort && other) || (save && no_save)) {
    call.reply.Error(kSyntaxError);
    return Run::kDone;
  }
  if (abort) {
    if (call.dispatcher.host().AbortShutdown()) {
      call.reply.Ok();
    } else {
      call.reply.Error("ERR No shutdown in progress.");
    }
    return Run::kDone;
  }
  call.client.close_after_reply = true;
  call.dispatcher.host().RequestShutdown(request);
  return Run::kDone;
}

Run Debug(Call& call) {
  if (!call.dispatcher.host().DebugAllowed(call.client)) {
    call.reply.Error(
        "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", "
        "you can run it from a local connection, otherwise you need to set this option in the "
        "configuration file, and then restart the server.");
    return Run::kDone;
  }
  if (call.size() == 2 && EqualsIgnoringCase(call[1], "help")) {
    ReplyWithHelp(call, "DEBUG", kDebugHelp);
    return Run::kDone;
  }
  if (call.size() == 3 && EqualsIgnoringCase(call[1], "sleep")) return Sleep(call);
  call.reply.Error(
      fmt::format("ERR unknown subcommand or wrong number of arguments for '{}'. Try DEBUG HELP.",
                  call[1].substr(0, 128)));
  return Run::kDone;
}

}  // namespace varve::commands
