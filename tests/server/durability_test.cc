// What was acknowledged survives kill -9, exactly and at any moment.

#include <catch2/catch.hpp>
#include <cstdlib>
#include <deque>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <thread>

#include "server/support/redis_client.h"
#include "server/support/server_process.h"

namespace varve::server::test {
namespace {

using Data = std::map<std::string, std::string>;

// One command of a writer, and what it does to the writer's database.
struct Operation {
  std::vector<std::string> arguments;

  void ApplyTo(Data& data) const {
    const std::string& name = arguments[0];
    if (name == "FLUSHDB") data.clear();
    if (name == "DEL") {
      for (size_t i = 1; i < arguments.size(); ++i) data.erase(arguments[i]);
    }
    if (name == "SET" || name == "MSET") {
      for (size_t i = 1; i < arguments.size(); i += 2) data[arguments[i]] = arguments[i + 1];
    }
  }
};

// Writes to a database of its own until the connection breaks, in pipelines of random depth, and
// remembers what was acknowledged and what was still under way.
class Writer {
 public:
  Writer(int db, uint64_t seed) : db_(db), random_(seed) {}

  void WriteUntilLost(int port) {
    try {
      RedisClient client(port);
      client.Call({"SELECT", std::to_string(db_)});
      for (;;) {
        const size_t depth = random_() % 4 == 0 ? 1 + random_() % 20 : 1;
        for (size_t i = 0; i < depth; ++i) {
          unacknowledged_.push_back(RandomOperation());
          client.Send(unacknowledged_.back().arguments);
        }
        for (size_t i = 0; i < depth; ++i) {
          const Reply reply = client.Receive();
          if (reply.is_error()) {
            error_ = reply.text;
            return;
          }
          unacknowledged_.front().ApplyTo(acknowledged_);
          unacknowledged_.pop_front();
          ++operations_;
        }
      }
    } catch (const ConnectionLost&) {
    }
  }

  // After the restart: the database holds all that was acknowledged, and of what was under way a
  // beginning, each command as a whole.
  void Verify(int port) {
    CAPTURE(db_, acknowledged_.size(), unacknowledged_.size());
    REQUIRE(error_.empty());
    RedisClient client(port);
    client.Call({"SELECT", std::to_string(db_)});
    const Data found = ReadAll(client);
    CHECK(client.Call({"DBSIZE"}).integer == static_cast<long long>(found.size()));
    while (!(found == acknowledged_) && !unacknowledged_.empty()) {
      unacknowledged_.front().ApplyTo(acknowledged_);
      unacknowledged_.pop_front();
    }
    REQUIRE((found == acknowledged_));
    unacknowledged_.clear();
  }

  uint64_t operations() const { return operations_; }
  size_t key_count() const { return acknowledged_.size(); }

 private:
  static constexpr size_t kKeyCount = 2000;

  std::string RandomKey() { return "key:" + std::to_string(random_() % kKeyCount); }
  std::string RandomValue() {
    const size_t kind = random_() % 200;
    const size_t size = kind == 0   ? 40'000 + random_() % 10'000  // shared, not copied
                        : kind < 20 ? random_() % 4000
                                    : random_() % 200;
    return std::to_string(random_()) + std::string(size, static_cast<char>('a' + random_() % 26));
  }
  Operation RandomOperation() {
    const size_t kind = random_() % 2000;
    if (kind == 0) return {{"FLUSHDB"}};
    if (kind < 400) return {{"DEL", RandomKey(), RandomKey()}};
    Operation operation{{kind < 700 ? "MSET" : "SET"}};
    for (size_t left = kind < 700 ? 2 + random_() % 8 : 1; left > 0; --left) {
      operation.arguments.push_back(RandomKey());
      operation.arguments.push_back(RandomValue());
    }
    return operation;
  }

  static Data ReadAll(RedisClient& client) {
    Data data;
    std::string cursor = "0";
    do {
      const Reply page = client.Call({"SCAN", cursor, "COUNT", "500"});
      REQUIRE(page.elements.size() == 2);
      cursor = page.elements[0].text;
      for (const Reply& key : page.elements[1].elements) client.Send({"GET", key.text});
      for (const Reply& key : page.elements[1].elements) {
        const Reply value = client.Receive();
        CAPTURE(key.text, value.text);
        REQUIRE(value.type == REDIS_REPLY_STRING);
        REQUIRE(data.emplace(key.text, value.text).second);
      }
    } while (cursor != "0");
    return data;
  }

  const int db_;
  std::mt19937_64 random_;
  Data acknowledged_;
  std::deque<Operation> unacknowledged_;
  std::string error_;
  uint64_t operations_ = 0;
};

TEST_CASE("Durability: kill -9 at random moments loses nothing acknowledged",
          "[server][durability]") {
  const char* wanted = std::getenv("VARVE_KILL_CYCLES");
  const int cycles = wanted == nullptr ? 12 : std::atoi(wanted);
  const uint64_t seed = std::random_device()();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  const TempDir dir;
  // So small a memtable flushes and compacts all the time.
  ServerProcess server(VARVE_SERVER, dir.path(), {"--write-buffer-size", "128kb"});
  std::deque<Writer> writers;
  for (int db = 0; db < 4; ++db) writers.emplace_back(db, random());
  for (int cycle = 0; cycle < cycles; ++cycle) {
    CAPTURE(cycle);
    std::vector<std::thread> threads;
    for (Writer& writer : writers) {
      threads.emplace_back([&] { writer.WriteUntilLost(server.port()); });
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20 + random() % 600));
    server.KillHard();
    for (std::thread& thread : threads) thread.join();
    constexpr const char* kModes[] = {"always", "everysec", "no"};
    server.options() = {"--write-buffer-size", "128kb", "--appendfsync", kModes[random() % 3]};
    server.Start();
    for (Writer& writer : writers) writer.Verify(server.port());
  }
  for (const Writer& writer : writers) {
    CHECK(writer.operations() > 0);
    CHECK(writer.key_count() > 0);
  }
}

TEST_CASE("Durability: appendfsync always acknowledges from many clients at once",
          "[server][durability]") {
  const TempDir dir;
  ServerProcess server(VARVE_SERVER, dir.path(), {"--appendfsync", "always"});
  std::vector<std::thread> threads;
  for (int t = 0; t < 16; ++t) {
    threads.emplace_back([&, t] {
      RedisClient client(server.port());
      for (int i = 0; i < 50; ++i) {
        const std::string key = std::to_string(t) + ":" + std::to_string(i);
        client.Call({"SET", key, key});
        if (client.Call({"GET", key}).text != key) throw std::runtime_error("lost " + key);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  server.Restart();
  CHECK(RedisClient(server.port()).Call({"DBSIZE"}).integer == 16 * 50);
}

TEST_CASE("Durability: a MSET is there as a whole or not at all", "[server][durability]") {
  const TempDir dir;
  ServerProcess server(VARVE_SERVER, dir.path());
  for (int cycle = 0; cycle < 5; ++cycle) {
    CAPTURE(cycle);
    std::thread writer([&] {
      try {
        RedisClient client(server.port());
        for (int i = 0;; ++i) {
          std::vector<std::string> request = {"MSET"};
          for (int key = 0; key < 20; ++key) {
            request.push_back("k" + std::to_string(key));
            request.push_back(std::to_string(i));
          }
          client.Call(request);
        }
      } catch (const ConnectionLost&) {
      }
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(50 + cycle * 17));
    server.Restart();
    writer.join();
    RedisClient client(server.port());
    std::set<std::string> values;
    for (int key = 0; key < 20; ++key) {
      values.insert(client.Call({"GET", "k" + std::to_string(key)}).text);
    }
    CHECK(values.size() == 1);
  }
}

}  // namespace
}  // namespace varve::server::test
