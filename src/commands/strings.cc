#include "commands/strings.h"

#include <cstddef>

#include "commands/text.h"

namespace varve::commands {
namespace {

static_assert(resp::kSharedBytes == engine::kSharedValueBytes,
              "what the parser does not copy, the engine should not copy either");

engine::Value ValueOf(const resp::Argument& argument) { return {argument.bytes, argument.owner}; }

void ReplyWith(Call& call, const engine::Lookup& lookup) {
  if (lookup.presence == engine::Presence::kPresent) {
    ++call.key_hits;
    call.reply.Bulk(lookup.value.bytes, lookup.value.owner);
  } else {
    ++call.key_misses;
    call.reply.Null();
  }
}

struct SetOptions {
  bool if_absent = false;
  bool if_present = false;
  bool get = false;
  bool keep_expiry = false;
  bool expires = false;
};

// Whether `option` is one of EX, PX, EXAT, PXAT, which take a number.
bool IsExpiryOption(std::string_view option) {
  return EqualsIgnoringCase(option, "ex") || EqualsIgnoringCase(option, "px") ||
         EqualsIgnoringCase(option, "exat") || EqualsIgnoringCase(option, "pxat");
}

// The options behind key and value; false if they are none, or contradict each other.
bool ParseSetOptions(const Call& call, SetOptions& options) {
  for (size_t index = 3; index < call.size(); ++index) {
    const std::string_view option = call[index];
    if (EqualsIgnoringCase(option, "nx") && !options.if_present) {
      options.if_absent = true;
    } else if (EqualsIgnoringCase(option, "xx") && !options.if_absent) {
      options.if_present = true;
    } else if (EqualsIgnoringCase(option, "get")) {
      options.get = true;
    } else if (EqualsIgnoringCase(option, "keepttl") && !options.expires) {
      options.keep_expiry = true;
    } else if (IsExpiryOption(option) && !options.keep_expiry && !options.expires &&
               index + 1 < call.size()) {
      options.expires = true;
      ++index;
    } else {
      return false;
    }
  }
  return true;
}

Run SetWithOptions(Call& call) {
  SetOptions options;
  if (!ParseSetOptions(call, options)) {
    call.reply.Error(kSyntaxError);
    return Run::kDone;
  }
  if (options.expires) {
    // Taking the value and forgetting its expiry would be worse than not taking it.
    call.reply.Error("ERR SET with an expiry is not supported yet");
    return Run::kDone;
  }
  const int db = call.client.db;
  engine::Presence presence = engine::Presence::kAbsent;
  if (options.get) {
    const engine::Lookup old = call.guard.Get(db, call[1]);
    presence = old.presence;
    ReplyWith(call, old);
  } else if (options.if_absent || options.if_present) {
    presence = call.guard.Contains(db, call[1]);
  }
  if (presence == engine::Presence::kFault) return Run::kDone;
  const bool present = presence == engine::Presence::kPresent;
  if ((options.if_absent && present) || (options.if_present && !present)) {
    if (!options.get) call.reply.Null();
    return Run::kDone;
  }
  call.guard.Put(db, call[1], ValueOf(call.args[2]));
  if (!options.get) call.reply.Ok();
  return Run::kDone;
}

}  // namespace

Run Get(Call& call) {
  ReplyWith(call, call.guard.Get(call.client.db, call[1]));
  return Run::kDone;
}

Run Set(Call& call) {
  if (call.size() > 3) return SetWithOptions(call);
  call.guard.Put(call.client.db, call[1], ValueOf(call.args[2]));
  call.reply.Ok();
  return Run::kDone;
}

Run Mget(Call& call) {
  call.reply.Array(call.size() - 1);
  for (size_t index = 1; index < call.size(); ++index) {
    // Goes on after a fault, so that all missing rows are loaded at once.
    ReplyWith(call, call.guard.Get(call.client.db, call[index]));
  }
  return Run::kDone;
}

Run Mset(Call& call) {
  if (call.size() % 2 == 0) {
    call.reply.Error("ERR wrong number of arguments for 'mset' command");
    return Run::kDone;
  }
  for (size_t index = 1; index < call.size(); index += 2) {
    call.guard.Put(call.client.db, call[index], ValueOf(call.args[index + 1]));
  }
  call.reply.Ok();
  return Run::kDone;
}

}  // namespace varve::commands
