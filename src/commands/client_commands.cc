#include "commands/client_commands.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "commands/client_filter.h"
#include "commands/client_line.h"
#include "commands/connection.h"
#include "commands/dispatch.h"
#include "commands/help.h"
#include "commands/text.h"
#include "resp/number.h"

namespace varve::commands {
namespace {

constexpr std::string_view kHelp[] = {
    "GETNAME",
    "    Return the name of the current connection.",
    "ID",
    "    Return the ID of the current connection.",
    "INFO",
    "    Return information about the current connection.",
    "KILL <ip:port>",
    "    Close the connection that comes from <ip:port>.",
    "KILL <option> <value> [<option> <value> [...]]",
    "    Close the connections that match all options:",
    "    * ID <client-id>",
    "    * ADDR (<ip:port>|<unixsocket>:0)",
    "    * LADDR (<ip:port>|<unixsocket>:0)",
    "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
    "    * USER <username>",
    "    * MAXAGE <seconds>",
    "    * SKIPME (YES|NO): not the current connection (default: yes).",
    "LIST [TYPE (NORMAL|MASTER|REPLICA|PUBSUB) | ID <client-id> [<client-id> ...]]",
    "    Return a line about each connection.",
    "NO-EVICT (ON|OFF)",
    "    Protect the current connection from being closed for its memory.",
    "REPLY (ON|OFF|SKIP)",
    "    Control the replies sent to the current connection.",
    "SETINFO (LIB-NAME|LIB-VER) <value>",
    "    Tell which client library is in use.",
    "SETNAME <name>",
    "    Assign the name <name> to the current connection.",
};

Run Refuse(Call& call, std::string_view error) {
  call.reply.Error(error);
  return Run::kDone;
}

std::string ClientLine(Call& call, const Client& client) {
  std::string line;
  AppendClientLine(client, call.dispatcher.host().UnixUs(), line);
  return line;
}

// One option of CLIENT KILL with its value; false after an error reply.
bool TakeKillOption(Call& call, std::string_view option, std::string_view value,
                    ClientFilter& filter) {
  if (EqualsIgnoringCase(option, "id")) {
    const std::optional<int64_t> id = resp::ParseInteger(value);
    if (!id || *id < 1) {
      call.reply.Error("ERR client-id should be greater than 0");
      return false;
    }
    filter.id = static_cast<uint64_t>(*id);
  } else if (EqualsIgnoringCase(option, "type")) {
    if (!ParseClientType(value, filter.normal_type)) {
      call.reply.Error(fmt::format("ERR Unknown client type '{}'", value));
      return false;
    }
  } else if (EqualsIgnoringCase(option, "addr")) {
    filter.address = value;
  } else if (EqualsIgnoringCase(option, "laddr")) {
    filter.local_address = value;
  } else if (EqualsIgnoringCase(option, "user")) {
    if (value != "default") {  // the only one there is
      call.reply.Error(fmt::format("ERR No such user '{}'", value));
      return false;
    }
  } else if (EqualsIgnoringCase(option, "maxage")) {
    const std::optional<int64_t> age = resp::ParseInteger(value);
    if (!age || *age < 1 || *age > 1'000'000'000'000) {
      call.reply.Error("ERR maxage is not an integer or out of range");
      return false;
    }
    filter.age_min = static_cast<uint64_t>(*age);
  } else if (EqualsIgnoringCase(option, "skipme") &&
             (EqualsIgnoringCase(value, "yes") || EqualsIgnoringCase(value, "no"))) {
    filter.skip_self = EqualsIgnoringCase(value, "yes");
  } else {
    call.reply.Error(kSyntaxError);
    return false;
  }
  return true;
}

// Kills what matches and returns how many that were.
int64_t Kill(Call& call, const ClientFilter& filter) {
  Host& host = call.dispatcher.host();
  std::vector<uint64_t> ids;  // first: killing changes what is walked
  const uint64_t now_us = host.UnixUs();
  host.ForEachClient([&](const Client& client) {
    if (filter.Matches(client, call.client, now_us)) ids.push_back(client.id);
  });
  int64_t killed = 0;
  for (const uint64_t id : ids) {
    if (id == call.client.id) {
      call.client.close_after_reply = true;  // it hears of it
      ++killed;
    } else if (host.KillClient(id)) {
      ++killed;
    }
  }
  return killed;
}

}  // namespace

Run ClientId(Call& call) {
  call.reply.Integer(static_cast<int64_t>(call.client.id));
  return Run::kDone;
}

Run ClientGetname(Call& call) {
  if (call.client.name.empty()) {
    call.reply.Null();
  } else {
    call.reply.Bulk(call.client.name);
  }
  return Run::kDone;
}

Run ClientSetname(Call& call) {
  if (SetClientName(call, call[2])) call.reply.Ok();
  return Run::kDone;
}

Run ClientSetinfo(Call& call) {
  std::string* info = nullptr;
  if (EqualsIgnoringCase(call[2], "lib-name")) {
    info = &call.client.library_name;
  } else if (EqualsIgnoringCase(call[2], "lib-ver")) {
    info = &call.client.library_version;
  } else {
    return Refuse(call, fmt::format("ERR Unrecognized option '{}'", call[2]));
  }
  if (!IsPlainWord(call[3])) {
    return Refuse(call, fmt::format("ERR {} cannot contain spaces, newlines or special characters.",
                                    call[2]));
  }
  *info = call[3];
  call.reply.Ok();
  return Run::kDone;
}

Run ClientInfo(Call& call) {
  call.reply.Verbatim("txt", ClientLine(call, call.client));
  return Run::kDone;
}

Run ClientList(Call& call) {
  bool normal = true;
  std::vector<uint64_t> ids;
  const bool by_id = call.size() > 3 && EqualsIgnoringCase(call[2], "id");
  if (call.size() == 4 && EqualsIgnoringCase(call[2], "type")) {
    if (!ParseClientType(call[3], normal)) {
      return Refuse(call, fmt::format("ERR Unknown client type '{}'", call[3]));
    }
  } else if (by_id) {
    for (size_t index = 3; index < call.size(); ++index) {
      const std::optional<int64_t> id = resp::ParseInteger(call[index]);
      if (!id) return Refuse(call, "ERR Invalid client ID");
      ids.push_back(static_cast<uint64_t>(*id));
    }
    std::sort(ids.begin(), ids.end());
  } else if (call.size() != 2) {
    return Refuse(call, kSyntaxError);
  }
  std::string lines;
  const uint64_t now_us = call.dispatcher.host().UnixUs();
  call.dispatcher.host().ForEachClient([&](const Client& client) {
    if (!normal || (by_id && !std::binary_search(ids.begin(), ids.end(), client.id))) return;
    AppendClientLine(client, now_us, lines);
  });
  call.reply.Verbatim("txt", lines);
  return Run::kDone;
}

Run ClientKill(Call& call) {
  ClientFilter filter;
  if (call.size() == 3) {
    filter.address = call[2];
    filter.skip_self = false;
    if (Kill(call, filter) == 0) return Refuse(call, "ERR No such client");
    call.reply.Ok();
    return Run::kDone;
  }
  for (size_t index = 2; index < call.size(); index += 2) {
    if (index + 1 == call.size()) return Refuse(call, kSyntaxError);
    if (!TakeKillOption(call, call[index], call[index + 1], filter)) return Run::kDone;
  }
  call.reply.Integer(Kill(call, filter));
  return Run::kDone;
}

Run ClientNoEvict(Call& call) {
  if (EqualsIgnoringCase(call[2], "on")) {
    call.client.no_evict = true;
  } else if (EqualsIgnoringCase(call[2], "off")) {
    call.client.no_evict = false;
  } else {
    return Refuse(call, kSyntaxError);
  }
  call.reply.Ok();
  return Run::kDone;
}

Run ClientReply(Call& call) {
  if (EqualsIgnoringCase(call[2], "on")) {
    call.client.reply_mode = ReplyMode::kOn;
    call.reply.Ok();
  } else if (EqualsIgnoringCase(call[2], "off")) {
    call.client.reply_mode = ReplyMode::kOff;
  } else if (EqualsIgnoringCase(call[2], "skip")) {
    if (call.client.reply_mode != ReplyMode::kOff) call.client.reply_mode = ReplyMode::kSkipArmed;
  } else {
    call.reply.Error(kSyntaxError);
  }
  return Run::kDone;
}

Run ClientHelp(Call& call) {
  ReplyWithHelp(call, "CLIENT", kHelp);
  return Run::kDone;
}

}  // namespace varve::commands
