#include "commands/command_info.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "commands/table.h"

namespace varve::commands {
namespace {

using Names = std::vector<std::string_view>;

constexpr std::pair<uint32_t, std::string_view> kFlagNames[] = {
    {kWrite, "write"},       {kReadonly, "readonly"}, {kDenyOom, "denyoom"},      {kAdmin, "admin"},
    {kNoScript, "noscript"}, {kLoading, "loading"},   {kStale, "stale"},          {kFast, "fast"},
    {kNoAuth, "no_auth"},    {kNoMulti, "no_multi"},  {kAllowBusy, "allow_busy"},
};

void ReplyWithStatusSet(const Names& names, resp::ReplyBuffer& reply) {
  reply.Set(names.size());
  for (const std::string_view name : names) reply.SimpleString(name);
}

Names Tips(const Command& command) {
  Names tips;
  for (std::string_view rest = command.tips; !rest.empty();) {
    const size_t end = std::min(rest.find(' '), rest.size());
    tips.push_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return tips;
}

void Field(std::string_view name, int64_t value, resp::ReplyBuffer& reply) {
  reply.Bulk(name);
  reply.Integer(value);
}

// Where keys are found, in the form that Redis 7 has for it.
void ReplyWithKeySpecification(const Command& command, resp::ReplyBuffer& reply) {
  const Keys& keys = command.keys;
  const bool has_notes = keys.use == KeyUse::kSet;
  reply.Map(has_notes ? 4 : 3);
  if (has_notes) {
    reply.Bulk("notes");
    reply.Bulk("RW and ACCESS due to the optional `GET` argument");
  }
  reply.Bulk("flags");
  Names uses = KeyUseNames(keys.use, /*gets=*/true);
  if (has_notes) uses.emplace_back("variable_flags");
  ReplyWithStatusSet(uses, reply);
  reply.Bulk("begin_search");
  reply.Map(2);
  reply.Bulk("type");
  reply.Bulk("index");
  reply.Bulk("spec");
  reply.Map(1);
  Field("index", keys.first, reply);
  reply.Bulk("find_keys");
  reply.Map(2);
  reply.Bulk("type");
  reply.Bulk("range");
  reply.Bulk("spec");
  reply.Map(3);
  Field("lastkey", keys.last < 0 ? keys.last : keys.last - keys.first, reply);
  Field("keystep", keys.step, reply);
  Field("limit", 0, reply);
}

}  // namespace

Names FlagNames(const Command& command) {
  Names names;
  for (const auto& [flag, name] : kFlagNames) {
    if ((command.flags & flag) != 0) names.push_back(name);
  }
  return names;
}

Names CategoryNames(const Command& command) {
  const bool admin = (command.flags & kAdmin) != 0;
  const bool fast = (command.flags & kFast) != 0;
  const std::pair<bool, std::string_view> categories[] = {
      {(command.categories & kKeyspaceCategory) != 0, "@keyspace"},
      {(command.flags & kReadonly) != 0, "@read"},
      {(command.flags & kWrite) != 0, "@write"},
      {(command.categories & kStringCategory) != 0, "@string"},
      {admin, "@admin"},
      {fast, "@fast"},
      {!fast, "@slow"},
      {admin || (command.categories & kDangerousCategory) != 0, "@dangerous"},
      {(command.categories & kConnectionCategory) != 0, "@connection"},
  };
  Names names;
  for (const auto& [has, name] : categories) {
    if (has) names.push_back(name);
  }
  return names;
}

Names KeyUseNames(KeyUse use, bool gets) {
  switch (use) {
    case KeyUse::kNone:
      return {};
    case KeyUse::kRead:
      return {"RO", "access"};
    case KeyUse::kInspect:
      return {"RO"};
    case KeyUse::kOverwrite:
      return {"OW", "update"};
    case KeyUse::kRemove:
      return {"RM", "delete"};
    case KeyUse::kSet:
      return gets ? Names{"RW", "access", "update"} : Names{"OW", "update"};
  }
  return {};
}

void ReplyWithInfo(const Command& command, resp::ReplyBuffer& reply) {
  reply.Array(10);
  reply.Bulk(command.name);
  reply.Integer(command.arity);
  ReplyWithStatusSet(FlagNames(command), reply);
  reply.Integer(command.keys.first);
  reply.Integer(command.keys.last);
  reply.Integer(command.keys.step);
  ReplyWithStatusSet(CategoryNames(command), reply);
  const Names tips = Tips(command);
  reply.Set(tips.size());
  for (const std::string_view tip : tips) reply.Bulk(tip);
  if (command.keys.first == 0) {
    reply.Set(0);
  } else {
    reply.Set(1);
    ReplyWithKeySpecification(command, reply);
  }
  const std::span<const Command> subcommands = Subcommands(command);
  // Redis writes a set header only when there is nothing in it.
  if (subcommands.empty()) {
    reply.Set(0);
  } else {
    reply.Array(subcommands.size());
  }
  for (const Command& subcommand : subcommands) ReplyWithInfo(subcommand, reply);
}

}  // namespace varve::commands
