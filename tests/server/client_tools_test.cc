// Redis's own tools and a client library against the server.

#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <set>

#include "server/support/raw_client.h"
#include "server/support/redis_client.h"
#include "server/support/server_process.h"

namespace varve::server::test {
namespace {

// Runs a shell command line and gives its output.
Outcome Shell(const std::string& command) { return RunToEnd("/bin/sh", {"-c", command}); }

std::string Cli(const ServerProcess& server) {
  return "redis-cli -p " + std::to_string(server.port()) + " ";
}

// All keys as SCAN returns them; fails if one comes twice.
std::set<std::string> ScanAll(RedisClient& client) {
  std::set<std::string> keys;
  std::string cursor = "0";
  do {
    const Reply page = client.Call({"SCAN", cursor, "COUNT", "100"});
    REQUIRE(page.elements.size() == 2);
    cursor = page.elements[0].text;
    for (const Reply& key : page.elements[1].elements) {
      CAPTURE(key.text);
      REQUIRE(keys.insert(key.text).second);
    }
  } while (cursor != "0");
  return keys;
}

TEST_CASE("Tools: redis-cli starts and runs commands without an error", "[server][tools]") {
  const TempDir dir;
  ServerProcess server(VARVE_SERVER, dir.path());
  // -2 and -3: what it asks at the start (HELLO, COMMAND DOCS) must not fail either way.
  for (const std::string protocol : {"-2 ", "-3 "}) {
    CAPTURE(protocol);
    const Outcome piped =
        Shell("printf 'FLUSHDB\nSET a 1\nGET a\nDBSIZE\nSELECT 3\nDBSIZE\nGET none\n' | " +
              Cli(server) + protocol);
    CHECK(piped.exit_code == 0);
    CHECK(piped.output == "OK\nOK\n1\n1\nOK\n0\n\n");
  }
  // On a terminal it loads hints and completion, too.
  const Outcome terminal =
      Shell("printf 'SET t 1\nexit\n' | TERM=dumb script -qec '" + Cli(server) + "' /dev/null");
  CHECK_THAT(terminal.output, Catch::Contains("OK"));
  CHECK_THAT(terminal.output, !Catch::Contains("rror") && !Catch::Contains("(nil)"));
}

TEST_CASE("Tools: redis-cli --pipe loads, SCAN returns each key once, a restart keeps all",
          "[server][tools]") {
  const TempDir dir;
  ServerProcess server(VARVE_SERVER, dir.path(), {"--write-buffer-size", "1mb"});
  constexpr int kCount = 30'000;
  std::mt19937_64 random(7);
  std::map<std::string, std::string> expected;
  {
    std::ofstream file(dir.path() + "/commands");
    for (int i = 0; i < kCount; ++i) {
      std::string value(random() % 300, '\0');
      for (char& byte : value) byte = static_cast<char>(random());
      const std::string key = "package:" + std::to_string(i);
      file << Request({"SET", key, value});
      expected.emplace(key, std::move(value));
    }
  }
  const Outcome piped = Shell(Cli(server) + "--pipe < " + dir.path() + "/commands");
  CHECK(piped.exit_code == 0);
  CHECK_THAT(piped.output, Catch::Contains("errors: 0, replies: " + std::to_string(kCount)));
  server.Restart();
  RedisClient client(server.port());
  CHECK(client.Call({"DBSIZE"}).integer == kCount);
  const std::set<std::string> keys = ScanAll(client);
  CHECK(keys.size() == expected.size());
  const Outcome scanned = Shell(Cli(server) + "--scan --pattern 'package:*' | wc -l");
  CHECK(std::stoi(scanned.output) == kCount);
  size_t wrong = 0;
  std::vector<std::string> keys_to_read;
  for (const auto& [key, value] : expected) client.Send({"GET", key});
  for (const auto& [key, value] : expected) wrong += client.Receive().text != value ? 1 : 0;
  CHECK(wrong == 0);
}

TEST_CASE("Tools: redis-benchmark runs without an error", "[server][tools]") {
  const TempDir dir;
  ServerProcess server(VARVE_SERVER, dir.path());
  for (const std::string options : {"-P 1 -n 2000", "-P 16 -n 20000", "-P 64 -n 20000"}) {
    CAPTURE(options);
    const Outcome outcome = Shell("redis-benchmark -p " + std::to_string(server.port()) +
                                  " -t set,get,mset -c 20 -d 100 -r 1000 -q " + options + " 2>&1");
    CHECK(outcome.exit_code == 0);
    CHECK_THAT(outcome.output, Catch::Contains("MSET") && !Catch::Contains("rror"));
  }
}

TEST_CASE("Tools: MGET and a pipeline over rows on disk fault and succeed", "[server][tools]") {
  const TempDir dir;
  ServerProcess server(VARVE_SERVER, dir.path(),
                       {"--write-buffer-size", "256kb", "--maxmemory", "4mb"});
  RedisClient client(server.port());
  constexpr int kCount = 20'000;
  const auto value = [](int i) { return std::to_string(i) + std::string(500, 'v'); };
  for (int i = 0; i < kCount; ++i) client.Send({"SET", "k" + std::to_string(i), value(i)});
  for (int i = 0; i < kCount; ++i) REQUIRE(client.Receive().text == "OK");
  std::mt19937_64 random(3);
  for (int round = 0; round < 50; ++round) {
    std::vector<std::string> request = {"MGET"};
    std::vector<int> asked;
    for (int i = 0; i < 40; ++i) {
      asked.push_back(static_cast<int>(random() % (kCount * 2)));  // half of them do not exist
      request.push_back("k" + std::to_string(asked.back()));
    }
    client.Send(request);
    for (const int key : asked) client.Send({"GET", "k" + std::to_string(key)});
    const Reply all = client.Receive();
    REQUIRE(all.elements.size() == asked.size());
    for (size_t i = 0; i < asked.size(); ++i) {
      const std::string expected = asked[i] < kCount ? value(asked[i]) : "";
      CHECK(all.elements[i].is_nil() == (asked[i] >= kCount));
      CHECK(all.elements[i].text == expected);
      CHECK(client.Receive().text == expected);
    }
  }
}

}  // namespace
}  // namespace varve::server::test
