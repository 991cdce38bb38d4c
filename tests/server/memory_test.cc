// One limit for the server's memory, however much data it has.

#include <catch2/catch.hpp>
#include <cstdint>
#include <map>
#include <random>
#include <string>

#include "server/support/process_memory.h"
#include "server/support/redis_client.h"
#include "server/support/server_process.h"

namespace varve::server::test {
namespace {

constexpr uint64_t kMiB = 1 << 20;
// What docs/operators-guide.md says that comes on top of maxmemory, and what the program itself
// has.
constexpr uint64_t kOverheadBytes = 60 * kMiB;
constexpr int kBatch = 200;

std::string KeyOf(uint64_t number) { return "key:" + std::to_string(number); }

// Half of it can be compressed, and it tells its key.
std::string ValueOf(uint64_t number) {
  std::mt19937_64 random(number);
  std::string value = KeyOf(number) + ":";
  while (value.size() < 512) value.push_back(static_cast<char>(random()));
  value.resize(1024, '.');
  return value;
}

std::map<std::string, uint64_t> Numbers(RedisClient& client, const std::string& section) {
  std::map<std::string, uint64_t> numbers;
  std::istringstream lines(client.Call({"INFO", section}).text);
  for (std::string line; std::getline(lines, line);) {
    const size_t colon = line.find(':');
    if (colon == line.npos) continue;
    numbers[line.substr(0, colon)] = std::strtoull(line.c_str() + colon + 1, nullptr, 10);
  }
  return numbers;
}

void Write(RedisClient& client, uint64_t begin, uint64_t end) {
  for (uint64_t first = begin; first < end; first += kBatch) {
    for (int i = 0; i < kBatch; ++i) client.Send({"SET", KeyOf(first + i), ValueOf(first + i)});
    for (int i = 0; i < kBatch; ++i) REQUIRE(client.Receive().text == "OK");
  }
}

void ReadAtRandom(RedisClient& client, uint64_t count, uint64_t reads) {
  std::mt19937_64 random(count);
  for (uint64_t done = 0; done < reads; done += kBatch) {
    std::vector<uint64_t> numbers;
    for (int i = 0; i < kBatch; ++i) {
      numbers.push_back(random() % count);
      client.Send({"GET", KeyOf(numbers.back())});
    }
    for (const uint64_t number : numbers) REQUIRE(client.Receive().text == ValueOf(number));
  }
}

void CheckMemory(ServerProcess& server, RedisClient& client, uint64_t limit) {
  const auto numbers = Numbers(client, "memory");
  const uint64_t parts = numbers.at("mem_memtables") + numbers.at("mem_row_cache") +
                         numbers.at("mem_filters_and_indexes") + numbers.at("mem_clients_normal");
  CHECK(numbers.at("maxmemory") == limit);
  CHECK(parts <= limit + limit / 8);  // eviction goes step by step
  if (!kMemoryIsMeasurable) return;
  CHECK(ResidentBytes(server.process().pid()) < limit + kOverheadBytes);
}

TEST_CASE("Memory: stays within maxmemory and a fixed overhead", "[server][memory]") {
  const TempDir dir;
  ServerProcess server(VARVE_SERVER, dir.path(), {"--maxmemory", "48mb"});
  RedisClient client(server.port());
  constexpr uint64_t kStep = 40'000;
  for (uint64_t count = kStep; count <= 3 * kStep; count += kStep) {
    CAPTURE(count);
    Write(client, count - kStep, count);
    CheckMemory(server, client, 48 * kMiB);
    ReadAtRandom(client, count, 4000);
    CheckMemory(server, client, 48 * kMiB);
  }
  // It was too much for the memory.
  CHECK(Numbers(client, "engine").at("row_cache_evictions") > kStep);
  CHECK(Numbers(client, "engine").at("loads") > 1000);

  REQUIRE(client.Call({"CONFIG", "SET", "maxmemory", "16mb"}).text == "OK");
  CHECK(WaitFor([&] { return Numbers(client, "memory").at("mem_row_cache") < 16 * kMiB; }));
  ReadAtRandom(client, 3 * kStep, 4000);
  CheckMemory(server, client, 16 * kMiB);
  REQUIRE(client.Call({"CONFIG", "SET", "maxmemory", "200mb"}).text == "OK");
  ReadAtRandom(client, kStep, 20'000);
  CHECK(Numbers(client, "memory").at("mem_row_cache") > 16 * kMiB);
  CHECK(client.Call({"DBSIZE"}).integer == static_cast<long long>(3 * kStep));
}

}  // namespace
}  // namespace varve::server::test
