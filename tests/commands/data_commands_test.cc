#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "commands/support/command_fixture.h"

namespace varve::commands::testing {
namespace {

// The elements of an array of bulk strings at `at`, which moves behind it.
std::vector<std::string> ParseArray(const std::string& reply, size_t& at) {
  REQUIRE(reply[at] == '*');
  const size_t count = std::stoul(reply.substr(at + 1));
  at = reply.find('\n', at) + 1;
  std::vector<std::string> elements;
  while (elements.size() < count) {
    REQUIRE(reply[at] == '$');
    const size_t size = std::stoul(reply.substr(at + 1));
    at = reply.find('\n', at) + 1;
    elements.push_back(reply.substr(at, size));
    at += size + 2;
  }
  return elements;
}

// One SCAN: appends its keys, returns the next cursor.
std::string ScanOnce(CommandFixture& run, const std::string& cursor, const std::string& options,
                     std::vector<std::string>& keys) {
  const std::string reply = run("SCAN " + cursor + options);
  REQUIRE(reply.starts_with("*2\r\n$"));
  const size_t begin = reply.find('\n', 4) + 1;
  const size_t end = reply.find('\r', begin);
  size_t at = end + 2;
  for (std::string& key : ParseArray(reply, at)) keys.push_back(std::move(key));
  return reply.substr(begin, end - begin);
}

std::vector<std::string> ScanAll(CommandFixture& run, const std::string& options) {
  std::vector<std::string> keys;
  std::string cursor = "0";
  do {
    cursor = ScanOnce(run, cursor, options, keys);
  } while (cursor != "0");
  std::sort(keys.begin(), keys.end());
  return keys;
}

// Enough rows that most of them lie in tables.
std::vector<std::string> Fill(CommandFixture& run, int count) {
  std::vector<std::string> keys;
  for (int index = 0; index < count; ++index) {
    keys.push_back("key:" + std::to_string(index));
    REQUIRE(run.Run({"SET", keys.back(), std::string(100, 'v') + std::to_string(index)}) ==
            "+OK\r\n");
    run.machine.scheduler.RunReady();
  }
  std::sort(keys.begin(), keys.end());
  return keys;
}

TEST_CASE("SET and GET: what was set comes back", "[commands][strings]") {
  CommandFixture run;
  CHECK(run("GET a") == "$-1\r\n");
  CHECK(run("SET a 1") == "+OK\r\n");
  CHECK(run("get a") == Bulk("1"));
  CHECK(run.Run({"SET", "", std::string("\0\r\n", 3)}) == "+OK\r\n");
  CHECK(run.Run({"GET", ""}) == Bulk(std::string("\0\r\n", 3)));
  const std::string large(100'000, 'x');
  CHECK(run.Run({"SET", "large", large}) == "+OK\r\n");
  CHECK(run.Run({"GET", "large"}) == Bulk(large));
  run.client.protocol = 3;
  CHECK(run("GET nothing") == "_\r\n");
}

TEST_CASE("SET: conditions and GET", "[commands][strings]") {
  CommandFixture run;
  CHECK(run("SET a 1 XX") == "$-1\r\n");
  CHECK(run("SET a 1 nx") == "+OK\r\n");
  CHECK(run("SET a 2 NX") == "$-1\r\n");
  CHECK(run("SET a 2 XX") == "+OK\r\n");
  CHECK(run("SET a 3 GET") == Bulk("2"));
  CHECK(run("SET a 4 NX GET") == Bulk("3"));
  CHECK(run("GET a") == Bulk("3"));
  CHECK(run("SET b 1 GET NX") == "$-1\r\n");
  CHECK(run("GET b") == Bulk("1"));
  CHECK(run("SET c 1 XX GET") == "$-1\r\n");
  CHECK(run("EXISTS c") == ":0\r\n");
  CHECK(run("SET a 5 KEEPTTL") == "+OK\r\n");
}

TEST_CASE("SET: wrong options, and expiry is not taken silently", "[commands][strings]") {
  CommandFixture run;
  for (const char* line :
       {"SET a b c", "SET a b NX XX", "SET a b XX NX", "SET a b EX", "SET a b EX 1 PX 1",
        "SET a b KEEPTTL EX 1", "SET a b EX 1 KEEPTTL", "SET a b GET x"}) {
    CAPTURE(line);
    CHECK(run(line) == "-ERR syntax error\r\n");
  }
  for (const char* line : {"SET a b EX 10", "SET a b px 10 NX", "SET a b EXAT 99999999999"}) {
    CAPTURE(line);
    CHECK(run(line) == "-ERR SET with an expiry is not supported yet\r\n");
  }
  CHECK(run("EXISTS a") == ":0\r\n");
}

TEST_CASE("MSET and MGET", "[commands][strings]") {
  CommandFixture run;
  CHECK(run("MSET a 1 b 2 a 3") == "+OK\r\n");
  CHECK(run("MGET a b c a") == "*4\r\n" + Bulk("3") + Bulk("2") + "$-1\r\n" + Bulk("3"));
  CHECK(run("MSET a 1 b") == "-ERR wrong number of arguments for 'mset' command\r\n");
  CHECK(run("MSET a") == "-ERR wrong number of arguments for 'mset' command\r\n");
  CHECK(run("DBSIZE") == ":2\r\n");
}

TEST_CASE("DEL, UNLINK, EXISTS, TYPE count and name what is there", "[commands][keys]") {
  CommandFixture run;
  run("MSET a 1 b 2 c 3");
  CHECK(run("EXISTS a a nokey b") == ":3\r\n");
  CHECK(run("TYPE a") == "+string\r\n");
  CHECK(run("TYPE nokey") == "+none\r\n");
  CHECK(run("DEL a a nokey") == ":1\r\n");
  CHECK(run("UNLINK b c") == ":2\r\n");
  CHECK(run("EXISTS a b c") == ":0\r\n");
  CHECK(run("DBSIZE") == ":0\r\n");
}

TEST_CASE("RANDOMKEY returns a key that is there", "[commands][keys]") {
  CommandFixture run;
  CHECK(run("RANDOMKEY") == "$-1\r\n");
  run("MSET a 1 b 2");
  run("DEL a");
  CHECK(run("RANDOMKEY") == Bulk("b"));
}

TEST_CASE("FLUSHDB empties one database, FLUSHALL all", "[commands][keys]") {
  CommandFixture run;
  for (const char* flush : {"FLUSHDB", "FLUSHDB ASYNC", "FLUSHDB sync"}) {
    CHECK(run("SELECT 0") == "+OK\r\n");
    run("SET a 1");
    run("SELECT 3");
    run("SET b 1");
    run("SELECT 0");
    CHECK(run(flush) == "+OK\r\n");
    CHECK(run("DBSIZE") == ":0\r\n");
    run("SELECT 3");
    CHECK(run("DBSIZE") == ":1\r\n");
  }
  CHECK(run("FLUSHALL") == "+OK\r\n");
  CHECK(run("DBSIZE") == ":0\r\n");
  CHECK(run("FLUSHALL x") == "-ERR syntax error\r\n");
  CHECK(run("FLUSHDB SYNC ASYNC") == "-ERR syntax error\r\n");
}

TEST_CASE("Commands meet rows in tables: they wait and run again", "[commands][fault]") {
  CommandFixture run;
  const std::vector<std::string> keys = Fill(run, 2000);
  std::vector<std::string> words = {"MGET"};
  std::string expected = "*50\r\n";
  for (int index = 0; index < 2000; index += 40) {
    words.push_back("key:" + std::to_string(index));
    expected += Bulk(std::string(100, 'v') + std::to_string(index));
  }
  CHECK(run.Run(words) == expected);
  CHECK(run.waits > 0);
  CHECK(run.waits < 20);  // not one after the other
  words[0] = "DEL";
  CHECK(run.Run(words) == ":50\r\n");
  CHECK(run("DBSIZE") == ":1950\r\n");
  CHECK(run("SET key:1 x GET") == Bulk(std::string(100, 'v') + "1"));
}

TEST_CASE("SCAN: each key once, whatever the count", "[commands][scan]") {
  CommandFixture run;
  const std::vector<std::string> keys = Fill(run, 1000);
  for (const char* options : {"", " COUNT 1", " count 7", " COUNT 1000000", " TYPE string"}) {
    CAPTURE(options);
    CHECK(ScanAll(run, options) == keys);
  }
  CHECK(ScanAll(run, " MATCH key:99?").size() == 10);
  CHECK(ScanAll(run, " TYPE list").empty());
  CHECK(ScanAll(run, " TYPE nosuchtype").empty());
}

TEST_CASE("SCAN: cursors and options as Redis reads them", "[commands][scan]") {
  CommandFixture run;
  const std::string end = "*2\r\n$1\r\n0\r\n*0\r\n";
  for (const char* line : {"SCAN 0", "SCAN -1", "SCAN 18446744073709551615", "SCAN +0", "SCAN 00",
                           "SCAN 281474976710656", "SCAN 0 MATCH a MATCH b", "SCAN "}) {
    CAPTURE(line);
    CHECK(run(line) == end);
  }
  for (const char* line :
       {"SCAN a", "SCAN 1a", "SCAN 18446744073709551616", "SCAN -", "SCAN 1.5"}) {
    CAPTURE(line);
    CHECK(run(line) == "-ERR invalid cursor\r\n");
  }
  for (const char* line :
       {"SCAN 0 MATCH", "SCAN 0 COUNT", "SCAN 0 COUNT 0", "SCAN 0 COUNT -1", "SCAN 0 FOO bar"}) {
    CAPTURE(line);
    CHECK(run(line) == "-ERR syntax error\r\n");
  }
  CHECK(run("SCAN 0 COUNT a") == "-ERR value is not an integer or out of range\r\n");
}

std::vector<std::string> SortedKeys(CommandFixture& run, const std::string& pattern) {
  const std::string reply = run("KEYS " + pattern);
  size_t at = 0;
  std::vector<std::string> keys = ParseArray(reply, at);
  CHECK(at == reply.size());
  std::sort(keys.begin(), keys.end());
  return keys;
}

TEST_CASE("KEYS: all that match, in pages without holding the lock", "[commands][scan]") {
  CommandFixture run;
  CHECK(run("KEYS *") == "*0\r\n");
  const std::vector<std::string> keys = Fill(run, 3000);
  CHECK(SortedKeys(run, "*") == keys);
  CHECK(run.yields > 3);
  CHECK(SortedKeys(run, "key:1?").size() == 10);
  CHECK(SortedKeys(run, "key:7") == std::vector<std::string>{"key:7"});
  CHECK(run("KEYS nothing") == "*0\r\n");
  CHECK(run.client.continuation.progress == nullptr);
}

TEST_CASE("KEYS: others may write between its pages", "[commands][scan]") {
  CommandFixture run;
  std::vector<std::string> keys = Fill(run, 2000);
  int written = 0;
  run.between_runs = [&] {
    Client writer;
    run.Run(writer, {"SET", "new:" + std::to_string(written++), "x"});
  };
  const std::vector<std::string> found = SortedKeys(run, "*");
  CHECK(std::set<std::string>(found.begin(), found.end()).size() == found.size());
  CHECK(std::includes(found.begin(), found.end(), keys.begin(), keys.end()));
}

}  // namespace
}  // namespace varve::commands::testing
