#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdint>
#include <map>
#include <random>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/support/raw_client.h"
#include "server/support/redis_client.h"
#include "server/support/server_process.h"

// The same bytes are sent to Debian's redis-server 7.0 and to varve-server; what comes back has to
// be the same, byte for byte.
namespace varve::server::test {
namespace {

class BothServers {
 public:
  BothServers()
      : redis_("redis-server", redis_dir_.path(),
               {"--bind", "127.0.0.1", "--save", "", "--enable-debug-command", "yes"}),
        varve_(VARVE_SERVER, varve_dir_.path(),
               {"--bind", "127.0.0.1", "--enable-debug-command", "yes"}) {}

  int redis() const { return redis_.port(); }
  int varve() const { return varve_.port(); }

 private:
  TempDir redis_dir_;
  TempDir varve_dir_;
  ServerProcess redis_;
  ServerProcess varve_;
};

// All that a server answers to `bytes` on a new connection, and to a QUIT behind them.
std::string Answer(int port, std::string_view bytes) {
  RawClient client(port);
  client.Send(std::string(bytes) + Request({"QUIT"}));
  std::string answer = client.ReadToEnd();
  CHECK(client.closed());
  return answer;
}

// The same, of bytes after which the server itself has to close the connection.
std::string AnswerAndClose(int port, std::string_view bytes) {
  RawClient client(port);
  client.Send(bytes);
  std::string answer = client.ReadToEnd();
  CHECK(client.closed());
  return answer;
}

// Without what differs from connection to connection.
std::string Comparable(const std::string& answer) {
  static const std::regex kClientId("id\r\n:[0-9]+");
  return std::regex_replace(answer, kClientId, "id\r\n:N");
}

// Where they begin to differ: answers may be long.
std::string Difference(const std::string& varve, const std::string& redis) {
  const size_t size = std::min(varve.size(), redis.size());
  const auto at = static_cast<size_t>(
      std::mismatch(varve.begin(), varve.begin() + static_cast<ptrdiff_t>(size), redis.begin())
          .first -
      varve.begin());
  if (at == varve.size() && at == redis.size()) return "";
  const size_t begin = at - std::min<size_t>(at, 100);
  return "at byte " + std::to_string(at) + "\nvarve: " + varve.substr(begin, 300) +
         "\nredis: " + redis.substr(begin, 300);
}

void CheckSame(const BothServers& servers, const std::string& bytes) {
  CAPTURE(bytes.substr(0, 200));
  CHECK(Difference(Comparable(Answer(servers.varve(), bytes)),
                   Comparable(Answer(servers.redis(), bytes))) == "");
}

TEST_CASE("Differential: replies and errors, in both protocols", "[differential]") {
  const BothServers servers;
  const char* const kLines[] = {
      // dispatch
      "foo", "foo a b", "foo 'a\\'b' \"\\r\\n\"", "'' a", "client", "client foo", "client id x",
      "client|id", "config", "config foo", "command foo", "get", "get a b", "debug", "debug foo",
      "debug sleep", "debug sleep 0", "debug sleep a", "debug sleep 0 0",
      // strings
      "set", "set a", "set a b c", "set a b nx xx", "set a b xx nx", "set a b xx get",
      "set nk1 b nx get", "set a b nx get", "set a b ex", "set a b ex 10 px 10",
      "set a b keepttl ex 10", "set a b keepttl", "set a b xx", "set a 2 get", "mset", "mset a",
      "mset a b c", "mset a b c d", "mget", "mget a nokey c", "get a", "get nokey",
      // keys
      "del", "del a a nokey", "exists", "exists c c nokey", "unlink c c", "type", "type nokey",
      "set t 1\r\ntype t\r\ndel t", "flushdb foo", "flushdb async", "flushdb sync",
      "flushdb sync async", "flushall a b", "flushall", "dbsize", "dbsize a", "randomkey",
      "randomkey a", "set one 1\r\nrandomkey\r\nkeys *\r\nkeys o?e\r\nkeys one\r\nflushall", "keys",
      "keys a b", "keys *", "keys nothing",
      // scan
      "scan", "scan a", "scan 0", "scan -1", "scan 0 match", "scan 0 count", "scan 0 count 0",
      "scan 0 count a", "scan 0 count -1", "scan 0 foo bar", "scan 0 type foo",
      "scan 0 type string", "scan 18446744073709551615", "scan 18446744073709551616",
      "scan 0 match a match b", "scan ' 1'", "scan 1a", "scan ''", "scan +0", "scan 00", "scan -",
      "scan 0 count 99999999999999999999", "set k 1\r\nscan 0\r\nscan 0 match x*\r\nflushall",
      // connection
      "ping", "ping a", "ping a b", "ping ''", "echo", "echo a", "quit a\r\nping", "quit", "reset",
      "reset 1", "select 3\r\nclient setname x\r\nreset\r\nclient getname", "select", "select 16",
      "select -1", "select a", "select 15", "select 99999999999999", "select 4294967296",
      "select 1 2", "select 01",
      "select 1\r\nset a 1\r\nselect 0\r\nget a\r\nselect 1\r\nget a\r\nflushall", "hello",
      "hello 2", "hello 3", "hello 4", "hello 1", "hello a", "hello 3 setname abc",
      "hello 3 setname abc\r\nclient getname", "hello 3 setname", "hello 3 setname 'a b'",
      "hello 3 auth", "hello 3 auth default", "hello 3 auth default foo", "hello 3 auth foo bar",
      "hello 3 foo", "hello 3 auth default x setname y\r\nclient getname", "hello setname x",
      "hello 3 setname a foo\r\nclient getname",
      // client
      "client getname", "client setname", "client setname 'a b'", "client setname ''",
      "client setname abc\r\nclient getname\r\nclient setname ''\r\nclient getname",
      "client list foo", "client list type master", "client list type pubsub",
      "client list type foo", "client list id", "client list id a", "client list id 0 999999",
      "client list foo bar", "client kill", "client kill foo", "client kill 1.2.3.4:5",
      "client kill id 999999", "client kill id 0", "client kill id a", "client kill id",
      "client kill foo bar", "client kill addr 1.2.3.4:5", "client kill laddr 1.2.3.4:5",
      "client kill type normal skipme yes", "client kill type foo", "client kill user foo",
      "client kill skipme foo", "client kill skipme yes", "client kill id 1 id 2",
      "client kill id 99999 addr", "client no-evict", "client no-evict on", "client no-evict off",
      "client no-evict foo", "client reply", "client reply foo", "client reply on",
      "client reply skip\r\nping\r\nping",
      "client reply off\r\nping\r\nfoo\r\nclient reply on\r\nping",
      "client reply skip\r\nclient reply on\r\nping",
      "client reply skip\r\nclient reply skip\r\nping\r\nping",
      "client reply off\r\nclient reply skip\r\nping\r\nping\r\nclient reply on\r\nping",
      "client reply skip\r\nfoo\r\nfoo", "client reply skip\r\nclient reply foo\r\nping",
      // config, info, server
      "config get", "config get nosuch", "config get save", "config set", "config set foo",
      "config set foo bar", "config set maxmemory foo", "config set maxmemory 1 maxmemory 2",
      "config set maxmemory 1 port", "config set maxmemory 0 foo bar", "config resetstat",
      "config resetstat 1", "info nosuch", "info cluster", "info modules", "info keyspace",
      "set a 1\r\nselect 3\r\nmset b 1 c 2\r\ninfo keyspace\r\nflushall", "time 1", "shutdown foo",
      "shutdown abort", "shutdown save nosave", "shutdown abort now",
      // command
      "command count a", "command info nosuch get", "command info client|list",
      "command info client|foo", "command info GET set MGET mset", "command docs nosuch",
      "command list filterby", "command list filterby foo", "command list filterby foo bar",
      "command list filterby pattern get", "command list filterby aclcat foo",
      "command list filterby module foo", "command list foo", "command list a b c d",
      "command getkeys", "command getkeys get", "command getkeys get a", "command getkeys get a b",
      "command getkeys mset a b c d", "command getkeys mset a b c", "command getkeys ping",
      "command getkeys ping a", "command getkeys foo bar", "command getkeys client id",
      "command getkeys client foo", "command getkeysandflags set a b",
      "command getkeysandflags set a b get", "command getkeysandflags mset a b c d",
      "command getkeysandflags del a b"};
  for (const std::string line : kLines) {
    CheckSame(servers, line + "\r\n");
    CheckSame(servers, "hello 3\r\n" + line + "\r\n");
  }
}

TEST_CASE("Differential: the protocol's edges", "[differential]") {
  const BothServers servers;
  const std::string kInputs[] = {
      "*0\r\n\r\n*-1\r\nPING\r\n",
      "*-2\r\nPING\r\n",
      "\r\n\n \r\nping\n",
      "*1\rx$4\rxPINGxx*1\r\n$4\r\nPING\r\n",
      "PING\r\r\n",
      "echo a\rb\r\n",
      "echo \"a\\x41\\n\\\"\\b\"\r\n",
      "echo 'a\\'b\\n'\r\n",
      "echo \"\"\r\nping ''\r\n",
      "echo a\"b\"\r\n",
      "\tping\x0bx\r\n",
      "*1\r\n$0\r\n\r\n",
      "*2\r\n$4\r\nECHO\r\n$3\r\n\r\n\0\r\n",
      "*3\r\n$3\r\nfoo\r\n$1\r\n\r\r\n$1\r\n\n\r\n",
      Request({"SET", std::string("k\0y", 3), std::string("\0\r\n\xff", 4)}) +
          Request({"GET", std::string("k\0y", 3)}) + Request({"FLUSHALL"}),
      Request({std::string(300, 'x'), std::string(300, 'y'), "a"}),
      Request({"foo", std::string(100, 'y'), std::string(26, 'a'), "b"}),
      Request({"foo", std::string(125, 'y'), "a", "b"}),
      Request({"client", std::string(300, 'x')}),
      Request({"SET", "large", std::string(200'000, 'v')}) + Request({"GET", "large"}) +
          Request({"ECHO", std::string(40'000, 'e')}) + Request({"DEL", "large"}),
      "*1\r\n$",
      "*2\r\n$4\r\nPING\r\n$5\r\nab",
  };
  for (const std::string& input : kInputs) CheckSame(servers, input);
}

TEST_CASE("Differential: protocol errors close the connection", "[differential]") {
  const BothServers servers;
  const std::string many(70'000, '1');
  const std::string kInputs[] = {"*a\r\n",
                                 "*\r\n",
                                 "*-\r\n",
                                 "*-0\r\n",
                                 "*+1\r\n",
                                 "*01\r\n",
                                 "*2147483648\r\n",
                                 "*99999999999999999999\r\n",
                                 "*1\r\nxx\r\n",
                                 "*1\r\n\x80x\r\n",
                                 "*1\r\n\r\n",
                                 "*1\r\n\rx\r\n",
                                 "*1\r\n:1\r\n",
                                 "*1\r\n$-1\r\n",
                                 "*1\r\n$a\r\n",
                                 "*1\r\n$\r\n",
                                 "*1\r\n$04\r\n",
                                 "*1\r\n$536870913\r\n",
                                 "*1\r\n$1000000000000000000\r\n",
                                 "\"abc\r\n",
                                 "'abc\r\n",
                                 "ping \"a\"b\r\n",
                                 many,
                                 "*" + many,
                                 "*1\r\n$" + many,
                                 "*1\r\n" + many};
  for (const std::string& input : kInputs) {
    const std::string bytes = "PING\r\n" + input;
    CAPTURE(input.substr(0, 40));
    CHECK(AnswerAndClose(servers.varve(), bytes) == AnswerAndClose(servers.redis(), bytes));
  }
}

// ---- what the servers say of themselves

const char* const kPlainCommands[] = {
    "get",    "set",       "mget",  "mset", "del",      "unlink", "exists", "type",
    "dbsize", "randomkey", "scan",  "keys", "ping",     "echo",   "quit",   "flushdb",
    "reset",  "select",    "hello", "info", "flushall", "time",   "debug",  "shutdown"};
const char* const kSubcommands[] = {
    "client|id",    "client|getname",  "client|setname",  "client|info",
    "client|list",  "client|kill",     "client|no-evict", "client|reply",
    "client|help",  "command|count",   "command|info",    "command|docs",
    "command|list", "command|getkeys", "command|help",    "command|getkeysandflags",
    "config|get",   "config|set",      "config|help",     "config|resetstat"};

TEST_CASE("Differential: COMMAND INFO of each command", "[differential]") {
  const BothServers servers;
  for (const std::string name : kPlainCommands) {
    CheckSame(servers, "command info " + name + "\r\nhello 3\r\ncommand info " + name + "\r\n");
  }
  for (const std::string name : kSubcommands) {
    CheckSame(servers, "command info " + name + "\r\nhello 3\r\ncommand info " + name + "\r\n");
  }
}

// From where the arguments begin: what comes before them is prose.
std::string DocumentedArguments(int port, const std::string& name) {
  const std::string answer = Answer(port, "hello 3\r\ncommand docs " + name + "\r\n");
  const size_t begin = answer.find("$9\r\narguments\r\n");
  return begin == std::string::npos ? "" : answer.substr(begin);
}

TEST_CASE("Differential: COMMAND DOCS has Redis's arguments, for hints", "[differential]") {
  const BothServers servers;
  // Other than Redis 7.0: SET without expiry, CLIENT KILL with the later MAXAGE.
  const std::set<std::string> other = {"set", "client|kill"};
  std::vector<std::string> names(std::begin(kPlainCommands), std::end(kPlainCommands));
  names.insert(names.end(), std::begin(kSubcommands), std::end(kSubcommands));
  for (const std::string& name : names) {
    CAPTURE(name);
    if (other.contains(name)) continue;
    CHECK(DocumentedArguments(servers.varve(), name) == DocumentedArguments(servers.redis(), name));
  }
}

std::vector<std::string> FieldNames(const std::string& line) {
  std::vector<std::string> names;
  std::istringstream fields(line);
  for (std::string field; fields >> field;) names.push_back(field.substr(0, field.find('=')));
  return names;
}

TEST_CASE("Differential: CLIENT INFO has Redis's fields", "[differential]") {
  const BothServers servers;
  std::vector<std::string> redis =
      FieldNames(RedisClient(servers.redis()).Call({"CLIENT", "INFO"}).text);
  redis.insert(redis.end(), {"lib-name", "lib-ver"});  // of Redis 7.2
  CHECK(FieldNames(RedisClient(servers.varve()).Call({"CLIENT", "INFO"}).text) == redis);
}

// Field names by section.
std::map<std::string, std::set<std::string>> InfoFields(int port) {
  std::map<std::string, std::set<std::string>> fields;
  std::istringstream lines(RedisClient(port).Call({"INFO", "everything"}).text);
  std::string section;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# ")) {
      section = line.substr(2, line.find('\r') - 2);
      fields[section];
    } else if (line.find(':') != std::string::npos) {
      fields[section].insert(line.substr(0, line.find(':')));
    }
  }
  return fields;
}

TEST_CASE("Differential: INFO has Redis's sections, and no names of its own by chance",
          "[differential]") {
  const BothServers servers;
  const auto redis = InfoFields(servers.redis());
  const auto varve = InfoFields(servers.varve());
  const std::set<std::string> own = {"varve_version",
                                     "io_threads",
                                     "listener0",
                                     "appendfsync",
                                     "client_output_buffer_limit_disconnections",
                                     "mem_memtables",
                                     "mem_row_cache",
                                     "mem_filters_and_indexes"};
  for (const auto& [section, fields] : redis) {
    CAPTURE(section);
    if (section == "Latencystats") continue;  // no histogram is kept per command
    CHECK(varve.contains(section));
  }
  for (const auto& [section, fields] : varve) {
    if (section == "Engine" || section == "Commandstats") continue;
    REQUIRE(redis.contains(section));
    for (const std::string& field : fields) {
      CAPTURE(section, field);
      CHECK((redis.at(section).contains(field) || own.contains(field)));
    }
  }
}

// ---- random commands

class RandomCommands {
 public:
  explicit RandomCommands(uint32_t seed) : random_(seed) {}

  std::vector<std::string> Next() {
    switch (Below(16)) {
      case 0:
      case 1:
      case 2:
        return {Cased("set"), Key(), Value()};
      case 3:
        return {"set", Key(), Value(), Pick({"nx", "XX", "get", "keepttl", "bad"})};
      case 4:
        return {"set", Key(), Value(), Pick({"nx", "xx"}), Pick({"get", "nx", "xx"})};
      case 5:
      case 6:
        return {Cased("get"), Key()};
      case 7:
        return Many("mset", /*pairs=*/true);
      case 8:
        return Many("mget", /*pairs=*/false);
      case 9:
        return Many(Pick({"del", "unlink"}), /*pairs=*/false);
      case 10:
        return Many("exists", /*pairs=*/false);
      case 11:
        return {"type", Key()};
      case 12:
        return {"dbsize"};
      case 13:
        return {"select", std::to_string(Below(3))};
      case 14:
        return Below(20) == 0 ? std::vector<std::string>{Pick({"flushdb", "flushall"})}
                              : std::vector<std::string>{"keys", Key()};
      default:
        return Wrong();
    }
  }
  uint32_t Below(uint32_t limit) { return static_cast<uint32_t>(random_() % limit); }

 private:
  std::string Pick(std::initializer_list<const char*> words) {
    return *(words.begin() + Below(static_cast<uint32_t>(words.size())));
  }
  std::string Key() { return "key:" + std::to_string(Below(200)); }
  std::string Value() {
    const uint32_t kind = Below(50);
    return std::string(kind == 0 ? 50'000 : Below(200), static_cast<char>(random_()));
  }
  std::string Cased(std::string word) {
    for (char& c : word) {
      if (Below(4) == 0) c = static_cast<char>(std::toupper(c));
    }
    return word;
  }
  std::vector<std::string> Many(const std::string& name, bool pairs) {
    std::vector<std::string> words = {name};
    for (uint32_t count = 1 + Below(10); count != 0; --count) {
      words.push_back(Key());
      if (pairs) words.push_back(Value());
    }
    if (Below(30) == 0) words.pop_back();
    return words;
  }
  std::vector<std::string> Wrong() {
    std::vector<std::string> words;
    for (uint32_t count = 1 + Below(4); count != 0; --count) {
      words.push_back(Pick({"get", "set", "foo", "client", "getname", "", "hello", "9", "config"}));
    }
    return words;
  }

  std::mt19937 random_;
};

std::map<std::string, std::string> Contents(int port, int db) {
  RedisClient client(port);
  client.Call({"SELECT", std::to_string(db)});
  std::map<std::string, std::string> contents;
  for (const Reply& key : client.Call({"KEYS", "*"}).elements) {
    CHECK(contents.emplace(key.text, client.Call({"GET", key.text}).text).second);
  }
  return contents;
}

TEST_CASE("Differential: random pipelines give the same replies and data", "[differential]") {
  const BothServers servers;
  const uint32_t seed = std::random_device()();
  CAPTURE(seed);
  RandomCommands commands(seed);
  for (int pipeline = 0; pipeline < 100; ++pipeline) {
    std::string bytes = pipeline % 2 == 0 ? "" : Request({"HELLO", "3"});
    for (uint32_t count = 1 + commands.Below(100); count != 0; --count) {
      bytes += Request(commands.Next());
    }
    CAPTURE(pipeline);
    REQUIRE(Difference(Comparable(Answer(servers.varve(), bytes)),
                       Comparable(Answer(servers.redis(), bytes))) == "");
  }
  for (int db = 0; db < 3; ++db) {
    CAPTURE(db);
    CHECK(Contents(servers.varve(), db) == Contents(servers.redis(), db));
  }
}

}  // namespace
}  // namespace varve::server::test
