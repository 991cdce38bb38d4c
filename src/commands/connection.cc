#include "commands/connection.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>

#include "commands/text.h"
#include "resp/number.h"

namespace varve::commands {
namespace {

// HELLO's reply: the fields that clients decide by, so they speak of Redis.
void ReplyWithServer(Call& call) {
  call.reply.Map(7);
  call.reply.Bulk("server");
  call.reply.Bulk("redis");
  call.reply.Bulk("version");
  call.reply.Bulk(kRedisVersion);
  call.reply.Bulk("proto");
  call.reply.Integer(call.client.protocol);
  call.reply.Bulk("id");
  call.reply.Integer(static_cast<int64_t>(call.client.id));
  call.reply.Bulk("mode");
  call.reply.Bulk("standalone");
  call.reply.Bulk("role");
  call.reply.Bulk("master");
  call.reply.Bulk("modules");
  call.reply.Array(0);
}

// AUTH user password | SETNAME name, taken one after the other; false after an error reply.
bool TakeHelloOptions(Call& call) {
  for (size_t index = 2; index < call.size(); ++index) {
    const size_t more = call.size() - 1 - index;
    if (EqualsIgnoringCase(call[index], "auth") && more >= 2) {
      // The only user needs no password, so any is right.
      if (call[index + 1] != "default") {
        call.reply.Error("WRONGPASS invalid username-password pair or user is disabled.");
        return false;
      }
      index += 2;
    } else if (EqualsIgnoringCase(call[index], "setname") && more >= 1) {
      if (!SetClientName(call, call[index + 1])) return false;
      ++index;
    } else {
      call.reply.Error(fmt::format("ERR Syntax error in HELLO option '{}'", call[index]));
      return false;
    }
  }
  return true;
}

}  // namespace

bool IsPlainWord(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '!' && c <= '~'; });
}

bool SetClientName(Call& call, std::string_view name) {
  if (!IsPlainWord(name)) {
    call.reply.Error("ERR Client names cannot contain spaces, newlines or special characters.");
    return false;
  }
  call.client.name = name;
  return true;
}

Run Ping(Call& call) {
  if (call.size() > 2) {
    call.reply.Error("ERR wrong number of arguments for 'ping' command");
  } else if (call.size() == 2) {
    call.reply.Bulk(call[1]);
  } else {
    call.reply.Raw("+PONG\r\n");
  }
  return Run::kDone;
}

Run Echo(Call& call) {
  call.reply.Bulk(call[1], call.args[1].owner);
  return Run::kDone;
}

Run Quit(Call& call) {
  call.reply.Ok();
  call.client.close_after_reply = true;
  return Run::kDone;
}

Run Reset(Call& call) {
  Client& client = call.client;
  client.db = 0;
  client.protocol = 2;
  client.name.clear();
  client.reply_mode = ReplyMode::kOn;
  call.reply.set_protocol(2);
  call.reply.SimpleString("RESET");
  return Run::kDone;
}

Run Select(Call& call) {
  const std::optional<int64_t> index = resp::ParseInteger(call[1]);
  if (!index) {
    call.reply.Error(kNotAnInteger);
  } else if (*index < std::numeric_limits<int32_t>::min() ||
             *index > std::numeric_limits<int32_t>::max()) {
    call.reply.Error("ERR value is out of range, value must between -2147483648 and 2147483647");
  } else if (*index < 0 || *index >= engine::kDatabaseCount) {
    call.reply.Error("ERR DB index is out of range");
  } else {
    call.client.db = static_cast<int>(*index);
    call.reply.Ok();
  }
  return Run::kDone;
}

Run Hello(Call& call) {
  int protocol = call.client.protocol;
  if (call.size() > 1) {
    const std::optional<int64_t> version = resp::ParseInteger(call[1]);
    if (!version) {
      call.reply.Error("ERR Protocol version is not an integer or out of range");
      return Run::kDone;
    }
    if (*version < 2 || *version > 3) {
      call.reply.Error("NOPROTO unsupported protocol version");
      return Run::kDone;
    }
    protocol = static_cast<int>(*version);
    if (!TakeHelloOptions(call)) return Run::kDone;
  }
  call.client.protocol = protocol;
  call.reply.set_protocol(protocol);
  ReplyWithServer(call);
  return Run::kDone;
}

}  // namespace varve::commands
