#include "commands/config_commands.h"

#include <fmt/format.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "commands/dispatch.h"
#include "commands/glob.h"
#include "commands/help.h"
#include "commands/text.h"

namespace varve::commands {
namespace {

using Parameters = std::vector<std::pair<std::string, std::string>>;

constexpr std::string_view kHelp[] = {
    "GET <pattern> [<pattern> ...]",
    "    Return the parameters that match a glob-like <pattern>, and their values.",
    "SET <parameter> <value> [<parameter> <value> ...]",
    "    Set the parameters, all of them or none.",
    "RESETSTAT",
    "    Reset the statistics that INFO reports.",
};

class GetProgress : public Progress {
 public:
  Parameters parameters;
};

class SetProgress : public Progress {
 public:
  std::string error;  // empty: all were set
};

bool MatchesAny(const Call& call, std::string_view name) {
  for (size_t index = 2; index < call.size(); ++index) {
    if (GlobMatch(call[index], name, /*ignore_case=*/true)) return true;
  }
  return false;
}

// What CONFIG SET's arguments ask for; nothing after an error text was put into `error`.
std::optional<Parameters> CheckedParameters(const Parameters& asked, const Parameters& known,
                                            std::string& error) {
  Parameters checked;
  std::set<std::string> names;
  for (const auto& [written, value] : asked) {
    std::string name = ToLower(written);
    bool found = false;
    for (const auto& parameter : known) found = found || parameter.first == name;
    if (!found) {
      error =
          fmt::format("ERR Unknown option or number of arguments for CONFIG SET - '{}'", written);
      return std::nullopt;
    }
    if (!names.insert(name).second) {
      error = fmt::format(
          "ERR CONFIG SET failed (possibly related to argument '{}') - duplicate parameter",
          written);
      return std::nullopt;
    }
    checked.emplace_back(std::move(name), value);
  }
  return checked;
}

std::string SetParameters(Host& host, const Parameters& asked) {
  std::string error;
  const std::optional<Parameters> checked =
      CheckedParameters(asked, host.ConfigParameters(), error);
  if (!checked) return error;
  const std::optional<ConfigRefusal> refusal = host.SetConfig(*checked);
  if (!refusal) return {};
  if (refusal->reason.empty()) {
    return fmt::format("ERR Unknown option or number of arguments for CONFIG SET - '{}'",
                       refusal->name);
  }
  return fmt::format("ERR CONFIG SET failed (possibly related to argument '{}') - {}",
                     refusal->name, refusal->reason);
}

}  // namespace

Run ConfigGet(Call& call) {
  Continuation& continuation = call.client.continuation;
  if (continuation.progress == nullptr) {
    auto progress = std::make_unique<GetProgress>();
    continuation.off_lock = [&host = call.dispatcher.host(), into = progress.get()] {
      into->parameters = host.ConfigParameters();
    };
    continuation.progress = std::move(progress);
    return Run::kYield;
  }
  Parameters matching;
  for (auto& parameter : static_cast<GetProgress&>(*continuation.progress).parameters) {
    if (MatchesAny(call, parameter.first)) matching.push_back(std::move(parameter));
  }
  call.reply.Map(matching.size());
  for (const auto& [name, value] : matching) {
    call.reply.Bulk(name);
    call.reply.Bulk(value);
  }
  return Run::kDone;
}

Run ConfigSet(Call& call) {
  Continuation& continuation = call.client.continuation;
  if (continuation.progress == nullptr) {
    if (call.size() % 2 != 0) {
      call.reply.Error(kSyntaxError);
      return Run::kDone;
    }
    Parameters asked;
    for (size_t index = 2; index < call.size(); index += 2) {
      asked.emplace_back(call[index], call[index + 1]);
    }
    auto progress = std::make_unique<SetProgress>();
    continuation.off_lock = [&host = call.dispatcher.host(), asked = std::move(asked),
                             into = progress.get()] { into->error = SetParameters(host, asked); };
    continuation.progress = std::move(progress);
    return Run::kYield;
  }
  const std::string& error = static_cast<SetProgress&>(*continuation.progress).error;
  if (error.empty()) {
    call.reply.Ok();
  } else {
    call.reply.Error(error);
  }
  return Run::kDone;
}

Run ConfigResetstat(Call& call) {
  Continuation& continuation = call.client.continuation;
  if (continuation.progress == nullptr) {
    call.dispatcher.ResetStats();
    continuation.progress = std::make_unique<Progress>();
    continuation.off_lock = [&host = call.dispatcher.host()] { host.ResetStats(); };
    return Run::kYield;
  }
  call.reply.Ok();
  return Run::kDone;
}

Run ConfigHelp(Call& call) {
  ReplyWithHelp(call, "CONFIG", kHelp);
  return Run::kDone;
}

}  // namespace varve::commands
