#include "commands/info.h"

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "commands/dispatch.h"
#include "commands/info_sections.h"
#include "commands/text.h"

namespace varve::commands {
namespace {

class InfoProgress : public Progress {
 public:
  ServerFigures server;
  engine::Stats engine;
};

}  // namespace

Run Info(Call& call) {
  Continuation& continuation = call.client.continuation;
  if (continuation.progress == nullptr) {
    auto progress = std::make_unique<InfoProgress>();
    continuation.off_lock = [&host = call.dispatcher.host(), into = progress.get()] {
      into->server = host.Figures();
      into->engine = host.EngineStats();
    };
    continuation.progress = std::move(progress);
    return Run::kYield;
  }
  const auto& progress = static_cast<const InfoProgress&>(*continuation.progress);
  InfoSource source{
      progress.server, progress.engine, call.dispatcher, call.dispatcher.host().UnixUs(), {}};
  bool counted = true;
  for (int db = 0; db < engine::kDatabaseCount; ++db) {
    const std::optional<uint64_t> count = call.guard.KeyCount(db);
    counted = counted && count.has_value();
    source.key_counts[static_cast<size_t>(db)] = count.value_or(0);
  }
  if (!counted) return Run::kDone;
  std::set<std::string, std::less<>> names;
  for (size_t index = 1; index < call.size(); ++index) names.insert(ToLower(call[index]));
  if (names.empty()) names.insert("default");
  call.reply.Verbatim("txt", InfoText(source, names));
  return Run::kDone;
}

}  // namespace varve::commands
