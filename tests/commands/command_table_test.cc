#include <catch2/catch.hpp>
#include <cctype>
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "commands/command_info.h"
#include "commands/dispatch.h"
#include "commands/docs.h"
#include "commands/table.h"
#include "commands/text.h"

namespace varve::commands {
namespace {

TEST_CASE("Table: each row is found by its name, in any case", "[commands][table]") {
  std::set<std::string_view> names;
  for (const Command& command : AllCommands()) {
    CAPTURE(command.name);
    CHECK(names.insert(command.name).second);
    CHECK(FindByFullName(command.name) == &command);
    CHECK(FindByFullName(ToUpper(command.name)) == &command);
    CHECK(&AllCommands()[IndexOf(command)] == &command);
  }
  for (const std::string_view unknown : {"", "x", "ge", "gett", "client|", "client|x", "|",
                                         "getkeys", "a-very-long-name-indeed", "g\x05t"}) {
    CAPTURE(unknown);
    CHECK(FindByFullName(unknown) == nullptr);
  }
  CHECK(FindCommand("client|id") == nullptr);
}

TEST_CASE("Table: rows are consistent in themselves", "[commands][table]") {
  for (const Command& command : AllCommands()) {
    CAPTURE(command.name);
    CHECK(command.name == ToLower(command.name));
    CHECK(command.arity != 0);
    CHECK((command.flags & (kWrite | kReadonly)) != (kWrite | kReadonly));
    CHECK((command.handler == nullptr) == (!Subcommands(command).empty() && command.arity == -2));
    const Keys& keys = command.keys;
    CHECK((keys.first == 0) == (keys.use == KeyUse::kNone));
    CHECK((keys.first == 0) == (keys.step == 0));
    if (keys.first != 0) {
      CHECK(std::abs(command.arity) > keys.first);  // the first key is always there
      CHECK((command.flags & (kWrite | kReadonly)) != 0);
    }
    const size_t bar = command.name.find('|');
    if (bar != std::string_view::npos) {
      const Command* const container = FindCommand(command.name.substr(0, bar));
      REQUIRE(container != nullptr);
      CHECK(FindSubcommand(*container, command.name.substr(bar + 1)) == &command);
    }
  }
}

TEST_CASE("Table: each row is documented, and nothing else", "[commands][docs]") {
  CHECK(AllDocs().size() == AllCommands().size());
  for (const Command& command : AllCommands()) {
    CAPTURE(command.name);
    const CommandDoc& doc = DocOf(command.name);
    CHECK(doc.summary.ends_with('.'));
    CHECK_FALSE(doc.since.empty());
    CHECK_FALSE(doc.complexity.empty());
    CHECK((doc.group == "string" || doc.group == "generic" || doc.group == "connection" ||
           doc.group == "server"));
  }
}

TEST_CASE("Table: arity counts the name", "[commands][table]") {
  const Command& get = *FindCommand("get");
  CHECK_FALSE(HasArity(get, 1));
  CHECK(HasArity(get, 2));
  CHECK_FALSE(HasArity(get, 3));
  const Command& mget = *FindCommand("mget");
  CHECK_FALSE(HasArity(mget, 1));
  CHECK(HasArity(mget, 2));
  CHECK(HasArity(mget, 1000));
}

std::vector<std::string> KeysIn(const std::vector<std::string_view>& words) {
  std::vector<resp::Argument> args;
  for (const std::string_view word : words) args.push_back({word, nullptr});
  std::vector<std::string> keys;
  Dispatcher::ForEachKey(args, [&](std::string_view key) { keys.emplace_back(key); });
  return keys;
}

TEST_CASE("Table: keys of a command, for look-ahead", "[commands][table]") {
  using Keys = std::vector<std::string>;
  CHECK(KeysIn({"GET", "a"}) == Keys{"a"});
  CHECK(KeysIn({"set", "a", "b", "nx"}) == Keys{"a"});
  CHECK(KeysIn({"mget", "a", "b", "c"}) == Keys{"a", "b", "c"});
  CHECK(KeysIn({"mset", "a", "1", "b", "2"}) == Keys{"a", "b"});
  CHECK(KeysIn({"mset", "a", "1", "b"}) == Keys{"a", "b"});  // an error later, harmless here
  CHECK(KeysIn({"get"}).empty());
  CHECK(KeysIn({"get", "a", "b"}).empty());
  CHECK(KeysIn({"ping", "a"}).empty());
  CHECK(KeysIn({"nosuch", "a"}).empty());
}

TEST_CASE("Table: categories follow from flags", "[commands][table]") {
  using Names = std::vector<std::string_view>;
  CHECK(CategoryNames(*FindCommand("get")) == Names{"@read", "@string", "@fast"});
  CHECK(CategoryNames(*FindCommand("flushall")) ==
        Names{"@keyspace", "@write", "@slow", "@dangerous"});
  CHECK(CategoryNames(*FindByFullName("client|kill")) ==
        Names{"@admin", "@slow", "@dangerous", "@connection"});
  CHECK(FlagNames(*FindCommand("shutdown")) ==
        Names{"admin", "noscript", "loading", "stale", "no_multi", "allow_busy"});
}

}  // namespace
}  // namespace varve::commands
