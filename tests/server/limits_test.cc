// What clients may do to the server, and what must not come of it.

#include <catch2/catch.hpp>
#include <random>

#include "server/support/process_memory.h"
#include "server/support/raw_client.h"
#include "server/support/redis_client.h"
#include "server/support/server_process.h"

namespace varve::server::test {
namespace {

// Whether the process has grown by less than `bytes_max` since it had `before`.
bool GrewByLessThan(ServerProcess& server, uint64_t before, uint64_t bytes_max) {
  return !kMemoryIsMeasurable || ResidentBytes(server.process().pid()) < before + bytes_max;
}

bool Answers(ServerProcess& server) {
  return RedisClient(server.port()).Call({"PING"}).text == "PONG";
}

TEST_CASE("Limits: a megabyte of random bytes gets an error and hurts nobody", "[server][limits]") {
  const TempDir dir;
  ServerProcess server(VARVE_SERVER, dir.path());
  std::mt19937_64 random(42);
  for (int round = 0; round < 8; ++round) {
    CAPTURE(round);
    std::string bytes(1 << 20, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    if (round % 2 == 1) bytes[0] = '*';
    RawClient client(server.port());
    std::string replies;
    std::thread reader([&] { replies = client.ReadToEnd(); });
    client.Send(bytes);
    shutdown(client.fd(), SHUT_WR);
    reader.join();
    CHECK_THAT(replies, Catch::Contains("-ERR"));
    CHECK(client.closed());
    REQUIRE(Answers(server));
  }
}

TEST_CASE("Limits: announced lengths take no memory", "[server][limits]") {
  const TempDir dir;
  ServerProcess server(VARVE_SERVER, dir.path());
  RawClient huge(server.port());
  huge.Send("*2\r\n$3\r\nGET\r\n$1000000000000000000\r\n");
  CHECK(huge.ReadToEnd() == "-ERR Protocol error: invalid bulk length\r\n");

  REQUIRE(Answers(server));
  const uint64_t before = ResidentBytes(server.process().pid());
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 20; ++i) {  // 10 GB announced, a few bytes sent
    clients.push_back(std::make_unique<RawClient>(server.port()));
    clients.back()->Send("*1048576\r\n$536870912\r\nabc");
  }
  REQUIRE(Answers(server));
  CHECK(GrewByLessThan(server, before, 50 << 20));
}

TEST_CASE("Limits: a value of 300 MB is stored and comes back", "[server][limits]") {
  const TempDir dir;
  ServerProcess server(VARVE_SERVER, dir.path());
  std::string value(300 << 20, 'v');
  for (size_t i = 0; i < value.size(); i += 4093) value[i] = static_cast<char>('a' + i % 26);
  RedisClient client(server.port());
  CHECK(client.Call({"SET", "big", value}).text == "OK");
  CHECK(Answers(server));
  CHECK((client.Call({"GET", "big"}).text == value));  // in brackets: not to be printed
  server.Restart();
  CHECK((RedisClient(server.port()).Call({"GET", "big"}).text == value));
  CHECK(RedisClient(server.port()).Call({"DEL", "big"}).integer == 1);
}

TEST_CASE("Limits: a client that never reads is bounded, the others go on", "[server][limits]") {
  const TempDir dir;
  ServerProcess server(VARVE_SERVER, dir.path(), {"--io-threads", "1"});
  RedisClient client(server.port());
  REQUIRE(client.Call({"SET", "a", std::string(20'000, 'x')}).text == "OK");
  const uint64_t before = ResidentBytes(server.process().pid());
  RawClient deaf(server.port(), 4096);
  std::string requests;
  for (int i = 0; i < 1000; ++i) requests += Request({"GET", "a"});
  size_t sent = 0;
  for (int i = 0; i < 2000; ++i) {  // 1000 of these would ask for 20 GB
    const size_t some = deaf.SendSome(requests, 50);
    if (some == 0) break;
    sent += some;
  }
  CAPTURE(sent);
  CHECK(sent < requests.size() * 1000);  // it is not read from any more
  CHECK(GrewByLessThan(server, before, 30 << 20));
  for (int i = 0; i < 100; ++i) REQUIRE(client.Call({"GET", "a"}).text.size() == 20'000);
  // Whatever it has asked for comes in order once it reads.
  const std::string expected = "$20000\r\n" + std::string(20'000, 'x') + "\r\n";
  for (int i = 0; i < 100; ++i) REQUIRE((deaf.Read(expected.size()) == expected));
}

TEST_CASE("Limits: client-output-buffer-limit ends a client, hard at once, soft after its time",
          "[server][limits]") {
  const TempDir dir;
  ServerProcess server(VARVE_SERVER, dir.path(),
                       {"--client-output-buffer-limit", "normal", "10mb", "0", "0"});
  RedisClient client(server.port());
  REQUIRE(client.Call({"SET", "small", std::string(1 << 20, 'x')}).text == "OK");
  REQUIRE(client.Call({"SET", "large", std::string(20 << 20, 'x')}).text == "OK");
  RawClient hard(server.port());
  hard.Send(Request({"GET", "large"}));
  CHECK(hard.ReadToEnd().empty());
  CHECK(hard.closed());
  CHECK_THAT(server.log(), Catch::Contains("overcoming of output buffer limits"));

  REQUIRE(client.Call({"CONFIG", "SET", "client-output-buffer-limit", "normal 0 1mb 1"}).text ==
          "OK");
  RawClient soft(server.port(), 4096);
  soft.Send(Request({"GET", "large"}));
  CHECK(WaitFor([&] {
    return client.Call({"CLIENT", "LIST"}).text.find("cmd=get") == std::string::npos;
  }));
  CHECK(client.Call({"GET", "small"}).text.size() == 1 << 20);
}

TEST_CASE("Limits: thousands of idle connections are cheap and alive", "[server][limits]") {
  const TempDir dir;
  ServerProcess server(VARVE_SERVER, dir.path());
  constexpr int kCount = 900;  // within the usual limit of open files of a test
  REQUIRE(Answers(server));
  const uint64_t before = ResidentBytes(server.process().pid());
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < kCount; ++i) {
    clients.push_back(std::make_unique<RawClient>(server.port()));
    clients.back()->Send(Request({"SET", "k" + std::to_string(i), std::string(10'000, 'x')}));
    REQUIRE(clients.back()->Read(5) == "+OK\r\n");
  }
  std::this_thread::sleep_for(std::chrono::seconds(4));  // their buffers go
  RedisClient observer(server.port());
  const Reply info = observer.Call({"INFO", "clients"});
  CHECK_THAT(info.text, Catch::Contains("connected_clients:" + std::to_string(kCount + 1)));
  std::string total = observer.Call({"INFO", "memory"}).text;
  total = total.substr(total.find("mem_clients_normal:") + 19);
  CHECK(std::stoull(total) / kCount < 10'000);
  // 10 kB of value each are in memory as well.
  CHECK(GrewByLessThan(server, before, uint64_t{kCount} * 40'000));
  for (auto& client : clients) {
    client->Send("PING\r\n");
    REQUIRE(client->Read(7) == "+PONG\r\n");
  }
}

TEST_CASE("Limits: maxclients refuses the next one and admits it when one has left",
          "[server][limits]") {
  const TempDir dir;
  ServerProcess server(VARVE_SERVER, dir.path(), {"--maxclients", "3"});
  RawClient one(server.port());
  RawClient two(server.port());
  std::unique_ptr<RawClient> three;
  const auto admitted = [&] {  // once the probe of the start has gone
    three = std::make_unique<RawClient>(server.port());
    three->Send("PING\r\n");
    return three->Read(7) == "+PONG\r\n";
  };
  REQUIRE(WaitFor(admitted));
  for (RawClient* client : {&one, &two}) {
    client->Send("PING\r\n");
    REQUIRE(client->Read(7) == "+PONG\r\n");
  }
  RawClient four(server.port());
  CHECK(four.ReadToEnd() == "-ERR max number of clients reached\r\n");
  CHECK(four.closed());
  three.reset();
  CHECK(WaitFor(admitted));
}

TEST_CASE("Limits: timeout ends idle clients only", "[server][limits]") {
  const TempDir dir;
  ServerProcess server(VARVE_SERVER, dir.path(), {"--timeout", "1"});
  RawClient idle(server.port());
  RawClient busy(server.port());
  const auto start = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - start < std::chrono::seconds(4)) {
    busy.Send("PING\r\n");
    REQUIRE(busy.Read(7) == "+PONG\r\n");
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  CHECK(idle.Read(1, 100).empty());
  CHECK(idle.closed());
}

TEST_CASE("Limits: CLIENT KILL ends clients of any loop", "[server][limits]") {
  const TempDir dir;
  ServerProcess server(VARVE_SERVER, dir.path(), {"--io-threads", "4"});
  RedisClient killer(server.port());
  for (int i = 0; i < 8; ++i) {
    RedisClient victim(server.port());
    const std::string id = std::to_string(victim.Call({"CLIENT", "ID"}).integer);
    REQUIRE(killer.Call({"CLIENT", "KILL", "ID", id}).integer == 1);
    CHECK_THROWS_AS(victim.Call({"PING"}), ConnectionLost);
    CHECK(WaitFor([&] {
      return killer.Call({"CLIENT", "LIST"}).text.find("id=" + id + " ") == std::string::npos;
    }));
  }
  CHECK(killer.Call({"CLIENT", "KILL", "ID", "99999"}).integer == 0);
  CHECK(killer.Call({"PING"}).text == "PONG");
}

TEST_CASE("Limits: a query beyond client-query-buffer-limit ends its client", "[server][limits]") {
  const TempDir dir;
  ServerProcess server(VARVE_SERVER, dir.path(), {"--client-query-buffer-limit", "1mb"});
  RawClient client(server.port());
  client.Send("*2\r\n$3\r\nGET\r\n$104857600\r\n" + std::string(5 << 20, 'x'));
  CHECK(client.ReadToEnd().empty());
  CHECK(client.closed());
  CHECK_THAT(server.log(), Catch::Contains("max query buffer length"));
  CHECK(Answers(server));
}

}  // namespace
}  // namespace varve::server::test
