#include "commands/keys.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "commands/dispatch.h"
#include "commands/host.h"
#include "commands/text.h"

namespace varve::commands {
namespace {

// FLUSHDB and FLUSHALL take ASYNC, SYNC or nothing.
bool CheckFlushOption(Call& call) {
  if (call.size() == 1) return true;
  if (call.size() == 2 &&
      (EqualsIgnoringCase(call[1], "async") || EqualsIgnoringCase(call[1], "sync"))) {
    return true;
  }
  call.reply.Error(kSyntaxError);
  return false;
}

}  // namespace

Run Del(Call& call) {
  int64_t deleted = 0;
  for (size_t index = 1; index < call.size(); ++index) {
    if (call.guard.Delete(call.client.db, call[index]) == engine::Presence::kPresent) ++deleted;
  }
  call.reply.Integer(deleted);
  return Run::kDone;
}

Run Exists(Call& call) {
  for (size_t index = 1; index < call.size(); ++index) {
    if (call.guard.Contains(call.client.db, call[index]) == engine::Presence::kPresent) {
      ++call.key_hits;
    } else {
      ++call.key_misses;
    }
  }
  call.reply.Integer(call.key_hits);
  return Run::kDone;
}

Run Type(Call& call) {
  const engine::Lookup lookup = call.guard.Get(call.client.db, call[1]);
  if (lookup.presence != engine::Presence::kPresent) {
    ++call.key_misses;
    call.reply.SimpleString("none");
    return Run::kDone;
  }
  ++call.key_hits;
  switch (lookup.type) {
    case engine::ValueType::kString:
      call.reply.SimpleString("string");
  }
  return Run::kDone;
}

Run Dbsize(Call& call) {
  const std::optional<uint64_t> count = call.guard.KeyCount(call.client.db);
  if (count) call.reply.Integer(static_cast<int64_t>(*count));
  return Run::kDone;
}

Run Randomkey(Call& call) {
  const std::optional<std::optional<std::string>> key = call.guard.RandomKey(call.client.db);
  if (!key) return Run::kDone;
  if (*key) {
    call.reply.Bulk(**key);
  } else {
    call.reply.Null();
  }
  return Run::kDone;
}

Run Flushdb(Call& call) {
  if (!CheckFlushOption(call)) return Run::kDone;
  call.guard.Clear(call.client.db);
  call.reply.Ok();
  return Run::kDone;
}

Run Flushall(Call& call) {
  if (!CheckFlushOption(call)) return Run::kDone;
  for (int db = 0; db < engine::kDatabaseCount; ++db) call.guard.Clear(db);
  call.reply.Ok();
  return Run::kDone;
}

Run Compact(Call& call) {
  call.dispatcher.host().Compact();
  call.reply.SimpleString("Background compaction started");
  return Run::kDone;
}

}  // namespace varve::commands
