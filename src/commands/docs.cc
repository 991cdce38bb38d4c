#include "commands/docs.h"

#include <algorithm>
#include <iterator>

#include "engine/invariant.h"

namespace varve::commands {
namespace {

constexpr ArgumentDoc Word(std::string_view name, std::string_view token,
                           std::string_view since = {}, uint8_t flags = 0) {
  return {.name = name, .type = "pure-token", .token = token, .since = since, .flags = flags};
}

constexpr ArgumentDoc OneOf(std::string_view name, std::span<const ArgumentDoc> parts,
                            std::string_view token = {}, std::string_view since = {},
                            uint8_t flags = 0) {
  return {.name = name,
          .type = "oneof",
          .token = token,
          .since = since,
          .flags = flags,
          .parts = parts};
}

constexpr ArgumentDoc Block(std::string_view name, std::span<const ArgumentDoc> parts,
                            std::string_view token = {}, std::string_view since = {},
                            uint8_t flags = 0) {
  return {.name = name,
          .type = "block",
          .token = token,
          .since = since,
          .flags = flags,
          .parts = parts};
}

constexpr ArgumentDoc kKey[] = {{"key", "key"}};
constexpr ArgumentDoc kKeyList[] = {{"key", "key", {}, {}, kMultiple}};
constexpr ArgumentDoc kKeyValue[] = {{"key", "key"}, {"value", "string"}};
constexpr ArgumentDoc kMset[] = {Block("key_value", kKeyValue, {}, {}, kMultiple)};

constexpr ArgumentDoc kSetCondition[] = {Word("nx", "NX"), Word("xx", "XX")};
constexpr ArgumentDoc kSet[] = {{"key", "key"},
                                {"value", "string"},
                                OneOf("condition", kSetCondition, {}, "2.6.12", kOptional),
                                Word("get", "GET", "6.2.0", kOptional)};

constexpr ArgumentDoc kPattern[] = {{"pattern", "pattern"}};
constexpr ArgumentDoc kScan[] = {{"cursor", "integer"},
                                 {"pattern", "pattern", "MATCH", {}, kOptional},
                                 {"count", "integer", "COUNT", {}, kOptional},
                                 {"type", "string", "TYPE", "6.0.0", kOptional}};
constexpr ArgumentDoc kAsyncSync[] = {Word("async", "ASYNC", "4.0.0"),
                                      Word("sync", "SYNC", "6.2.0")};
constexpr ArgumentDoc kFlush[] = {OneOf("async", kAsyncSync, {}, {}, kOptional)};

constexpr ArgumentDoc kOptionalMessage[] = {{"message", "string", {}, {}, kOptional}};
constexpr ArgumentDoc kMessage[] = {{"message", "string"}};
constexpr ArgumentDoc kIndex[] = {{"index", "integer"}};
constexpr ArgumentDoc kUser[] = {{"username", "string"}, {"password", "string"}};
constexpr ArgumentDoc kHelloParts[] = {{"protover", "integer"},
                                       Block("username_password", kUser, "AUTH", {}, kOptional),
                                       {"clientname", "string", "SETNAME", {}, kOptional}};
constexpr ArgumentDoc kHello[] = {Block("arguments", kHelloParts, {}, {}, kOptional)};

constexpr ArgumentDoc kConnectionName[] = {{"connection-name", "string"}};
constexpr ArgumentDoc kLibraryParts[] = {{"libname", "string", "LIB-NAME"},
                                         {"libver", "string", "LIB-VER"}};
constexpr ArgumentDoc kSetinfo[] = {OneOf("attr", kLibraryParts)};
constexpr ArgumentDoc kListTypes[] = {Word("normal", "NORMAL"), Word("master", "MASTER"),
                                      Word("replica", "REPLICA"), Word("pubsub", "PUBSUB")};
constexpr ArgumentDoc kListIds[] = {{"client-id", "integer", {}, {}, kMultiple}};
constexpr ArgumentDoc kList[] = {
    OneOf("normal_master_replica_pubsub", kListTypes, "TYPE", "5.0.0", kOptional),
    Block("id", kListIds, "ID", "6.2.0", kOptional)};
constexpr ArgumentDoc kKillTypes[] = {Word("normal", "NORMAL"), Word("master", "MASTER", "3.2.0"),
                                      Word("slave", "SLAVE"), Word("replica", "REPLICA", "5.0.0"),
                                      Word("pubsub", "PUBSUB")};
constexpr ArgumentDoc kKillFilters[] = {
    {"client-id", "integer", "ID", "2.8.12", kOptional},
    OneOf("normal_master_slave_pubsub", kKillTypes, "TYPE", "2.8.12", kOptional),
    {"username", "string", "USER", {}, kOptional},
    {"ip:port", "string", "ADDR", {}, kOptional},
    {"ip:port", "string", "LADDR", "6.2.0", kOptional},
    {"yes/no", "string", "SKIPME", {}, kOptional},
    {"maxage", "integer", "MAXAGE", "7.4.0", kOptional}};
constexpr ArgumentDoc kKillForms[] = {{"ip:port", "string"},
                                      OneOf("new-format", kKillFilters, {}, {}, kMultiple)};
constexpr ArgumentDoc kKill[] = {OneOf("filter", kKillForms)};
constexpr ArgumentDoc kOnOff[] = {Word("on", "ON"), Word("off", "OFF")};
constexpr ArgumentDoc kNoEvict[] = {OneOf("enabled", kOnOff)};
constexpr ArgumentDoc kOnOffSkip[] = {Word("on", "ON"), Word("off", "OFF"), Word("skip", "SKIP")};
constexpr ArgumentDoc kReply[] = {OneOf("on_off_skip", kOnOffSkip)};

constexpr ArgumentDoc kCommandNames[] = {{"command-name", "string", {}, {}, kOptional | kMultiple}};
constexpr ArgumentDoc kListFilters[] = {{"module-name", "string", "MODULE"},
                                        {"category", "string", "ACLCAT"},
                                        {"pattern", "pattern", "PATTERN"}};
constexpr ArgumentDoc kCommandList[] = {OneOf("filterby", kListFilters, "FILTERBY", {}, kOptional)};

constexpr ArgumentDoc kParameter[] = {{"parameter", "string"}};
constexpr ArgumentDoc kConfigGet[] = {Block("parameter", kParameter, {}, {}, kMultiple)};
constexpr ArgumentDoc kParameterValue[] = {{"parameter", "string"}, {"value", "string"}};
constexpr ArgumentDoc kConfigSet[] = {Block("parameter_value", kParameterValue, {}, {}, kMultiple)};
constexpr ArgumentDoc kInfo[] = {{"section", "string", {}, {}, kOptional | kMultiple}};
constexpr ArgumentDoc kSaveModes[] = {Word("nosave", "NOSAVE"), Word("save", "SAVE")};
constexpr ArgumentDoc kShutdown[] = {
    OneOf("nosave_save", kSaveModes, {}, {}, kOptional), Word("now", "NOW", "7.0.0", kOptional),
    Word("force", "FORCE", "7.0.0", kOptional), Word("abort", "ABORT", "7.0.0", kOptional)};

constexpr std::string_view kPerKey = "O(N) where N is the number of keys named.";
constexpr std::string_view kPerClient = "O(N) where N is the number of connections.";
constexpr std::string_view kPerCommand = "O(N) where N is the number of commands.";
constexpr std::string_view kPerParameter = "O(N) where N is the number of parameters.";
constexpr std::string_view kContainer = "Depends on the subcommand.";
constexpr std::string_view kConstant = "O(1)";

// clang-format off
constexpr CommandDoc kDocs[] = {
    {"get", "1.0.0", "string", kConstant, "Get the value of a key.", kKey},
    {"set", "1.0.0", "string", kConstant, "Set the value of a key.", kSet},
    {"mget", "1.0.0", "string", kPerKey, "Get the values of several keys at once.", kKeyList},
    {"mset", "1.0.1", "string", kPerKey, "Set several keys at once, all of them or none.", kMset},
    {"del", "1.0.0", "generic", kPerKey, "Delete keys.", kKeyList},
    {"unlink", "4.0.0", "generic", kPerKey, "Delete keys, as DEL does.", kKeyList},
    {"exists", "1.0.0", "generic", kPerKey, "Count how many of the keys named exist.", kKeyList},
    {"type", "1.0.0", "generic", kConstant, "Tell the type of the value of a key.", kKey},
    {"dbsize", "1.0.0", "server", kConstant, "Count the keys of the selected database.", {}},
    {"randomkey", "1.0.0", "generic", kConstant, "Return a key at random.", {}},
    {"scan", "2.8.0", "generic", "O(COUNT) for a call, O(N) for all keys; each is returned once.",
     "Walk the keys of the selected database in steps.", kScan},
    {"keys", "1.0.0", "generic", "O(N) where N is the number of keys in the database.",
     "Find all keys that match a pattern.", kPattern},
    {"flushdb", "1.0.0", "server", kConstant, "Remove all keys of the selected database.", kFlush},
    {"flushall", "1.0.0", "server", kConstant, "Remove all keys of all databases.", kFlush},
    {"compact", "7.0.0", "server", kConstant,
     "Merge all tables into the last level, in the background.", {}},
    {"ping", "1.0.0", "connection", kConstant, "Tell that the server is there.", kOptionalMessage},
    {"echo", "1.0.0", "connection", kConstant, "Return the message.", kMessage},
    {"quit", "1.0.0", "connection", kConstant, "Close the connection.", {}},
    {"reset", "6.2.0", "connection", kConstant, "Put the connection back into its first state.", {}},
    {"select", "1.0.0", "connection", kConstant, "Select the connection's database.", kIndex},
    {"hello", "6.0.0", "connection", kConstant, "Choose the protocol and introduce the client.",
     kHello},
    {"client", "2.4.0", "connection", kContainer, "Commands about connections.", {}},
    {"client|id", "5.0.0", "connection", kConstant, "Return the connection's ID.", {}},
    {"client|getname", "2.6.9", "connection", kConstant, "Return the connection's name.", {}},
    {"client|setname", "2.6.9", "connection", kConstant, "Set the connection's name.",
     kConnectionName},
    {"client|setinfo", "7.2.0", "connection", kConstant, "Tell which client library is in use.",
     kSetinfo},
    {"client|info", "6.2.0", "connection", kConstant, "Return a line about this connection.", {}},
    {"client|list", "2.4.0", "connection", kPerClient, "Return a line about each connection.",
     kList},
    {"client|kill", "2.4.0", "connection", kPerClient, "Close connections.", kKill},
    {"client|no-evict", "7.0.0", "connection", kConstant,
     "Protect this connection from being closed for its memory.", kNoEvict},
    {"client|reply", "3.2.0", "connection", kConstant, "Choose whether commands are replied to.",
     kReply},
    {"client|help", "5.0.0", "connection", kConstant, "Describe the subcommands.", {}},
    {"command", "2.8.13", "server", kPerCommand, "Describe all commands.", {}},
    {"command|count", "2.8.13", "server", kConstant, "Count the commands.", {}},
    {"command|info", "2.8.13", "server", kPerCommand, "Describe the commands named, or all.",
     kCommandNames},
    {"command|docs", "7.0.0", "server", kPerCommand, "Document the commands named, or all.",
     kCommandNames},
    {"command|list", "7.0.0", "server", kPerCommand, "List the names of commands.", kCommandList},
    {"command|getkeys", "2.8.13", "server", "O(N) where N is the number of arguments.",
     "Tell which arguments of a command are keys.", {}},
    {"command|getkeysandflags", "7.0.0", "server", "O(N) where N is the number of arguments.",
     "Tell which arguments of a command are keys, and how they are used.", {}},
    {"command|help", "5.0.0", "server", kConstant, "Describe the subcommands.", {}},
    {"config", "2.0.0", "server", kContainer, "Commands about parameters.", {}},
    {"config|get", "2.0.0", "server", kPerParameter, "Return the values of parameters.",
     kConfigGet},
    {"config|set", "2.0.0", "server", kPerParameter, "Set parameters, all of them or none.",
     kConfigSet},
    {"config|resetstat", "2.0.0", "server", kConstant, "Reset the statistics of INFO.", {}},
    {"config|help", "5.0.0", "server", kConstant, "Describe the subcommands.", {}},
    {"info", "1.0.0", "server", kConstant, "Return figures about the server.", kInfo},
    {"time", "2.6.0", "server", kConstant, "Return the server's time.", {}},
    {"shutdown", "1.0.0", "server", kConstant, "Make the log durable and stop the server.",
     kShutdown},
    {"debug", "1.0.0", "server", kContainer, "Commands for tests.", {}},
};
// clang-format on

}  // namespace

std::span<const CommandDoc> AllDocs() { return kDocs; }

const CommandDoc& DocOf(std::string_view name) {
  const auto* const doc = std::find_if(std::begin(kDocs), std::end(kDocs),
                                       [name](const CommandDoc& d) { return d.name == name; });
  INVARIANT(doc != std::end(kDocs));
  return *doc;
}

}  // namespace varve::commands
