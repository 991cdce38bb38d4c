// The wire as a client sees it, without a library in between.

#include <catch2/catch.hpp>

#include "server/support/raw_client.h"
#include "server/support/server_process.h"

namespace varve::server::test {
namespace {

TEST_CASE("Wire: a pipeline may be split at any byte", "[server][wire]") {
  const TempDir dir;
  ServerProcess server(VARVE_SERVER, dir.path());
  const std::string requests = Request({"SET", "key", std::string("a\r\n\0b", 5)}) + "PING\r\n" +
                               Request({"GET", "key"}) + "\r\nECHO \"x y\"\n" +
                               Request({"MGET", "key", "none"}) + Request({"DEL", "key"});
  const std::string replies = "+OK\r\n+PONG\r\n" + std::string("$5\r\na\r\n\0b\r\n", 11) +
                              "$3\r\nx y\r\n*2\r\n" + std::string("$5\r\na\r\n\0b\r\n", 11) +
                              "$-1\r\n:1\r\n";
  for (size_t split = 1; split < requests.size(); ++split) {
    CAPTURE(split);
    RawClient client(server.port());
    REQUIRE(client.Send(requests.substr(0, split)));
    std::this_thread::sleep_for(std::chrono::microseconds(300));
    REQUIRE(client.Send(requests.substr(split)));
    CHECK(client.Read(replies.size()) == replies);
  }
  RawClient client(server.port());  // and byte by byte
  for (const char byte : requests) REQUIRE(client.Send({&byte, 1}));
  CHECK(client.Read(replies.size()) == replies);
}

TEST_CASE("Wire: a deep pipeline is answered in order", "[server][wire]") {
  const TempDir dir;
  ServerProcess server(VARVE_SERVER, dir.path());
  RawClient client(server.port());
  std::string requests;
  std::string replies;
  for (int i = 0; i < 20'000; ++i) {
    const std::string text = std::to_string(i);
    requests += Request({"SET", "k" + std::to_string(i % 97), text});
    requests += Request({"GET", "k" + std::to_string(i % 97)});
    replies += "+OK\r\n$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
  }
  std::thread sender([&] { client.Send(requests); });
  CHECK(client.Read(replies.size()) == replies);
  sender.join();
}

TEST_CASE("Wire: HELLO changes the protocol of what follows", "[server][wire]") {
  const TempDir dir;
  ServerProcess server(VARVE_SERVER, dir.path());
  RawClient client(server.port());
  client.Send(Request({"GET", "none"}));
  CHECK(client.Read(5) == "$-1\r\n");
  client.Send(Request({"HELLO", "3"}) + Request({"GET", "none"}) + Request({"PING"}));
  const std::string three = client.Read(1'000'000, 300);
  CHECK_THAT(three, Catch::StartsWith("%7\r\n"));
  CHECK_THAT(three, Catch::EndsWith("_\r\n+PONG\r\n"));
  client.Send(Request({"HELLO", "2"}) + Request({"GET", "none"}));
  const std::string two = client.Read(1'000'000, 300);
  CHECK_THAT(two, Catch::StartsWith("*14\r\n"));
  CHECK_THAT(two, Catch::EndsWith("$-1\r\n"));
}

TEST_CASE("Wire: a protocol error ends its own connection only, after the replies before it",
          "[server][wire]") {
  const TempDir dir;
  ServerProcess server(VARVE_SERVER, dir.path());
  RawClient neighbour(server.port());
  const std::pair<std::string, std::string> cases[] = {
      {"*x\r\n", "invalid multibulk length"},
      {"*1048577\r\n", "invalid multibulk length"},
      {"*1\r\n+PING\r\n", "expected '$', got '+'"},
      {"*1\r\n$-1\r\n", "invalid bulk length"},
      {"*1\r\n$1000000000000000000\r\n", "invalid bulk length"},
      {"SET \"a\r\n", "unbalanced quotes in request"},
      {std::string(70'000, 'x'), "too big inline request"},
      {"*2\r\n" + std::string(70'000, '1'), "too big bulk count string"},
  };
  for (const auto& [bytes, text] : cases) {
    CAPTURE(text);
    RawClient client(server.port());
    // More than the server will ever read follows: it must not turn into a reset that eats the
    // text.
    client.Send(Request({"PING"}) + bytes + std::string(200'000, 'y'));
    CHECK_THAT(client.ReadToEnd(), Catch::StartsWith("+PONG\r\n-ERR Protocol error: " + text));
    CHECK(client.closed());
    neighbour.Send("PING\r\n");
    CHECK(neighbour.Read(7) == "+PONG\r\n");
  }
}

TEST_CASE("Wire: QUIT answers, closes, and runs nothing behind it", "[server][wire]") {
  const TempDir dir;
  ServerProcess server(VARVE_SERVER, dir.path());
  RawClient client(server.port());
  client.Send(Request({"SET", "a", "1"}) + Request({"QUIT"}) + Request({"SET", "a", "2"}));
  CHECK(client.ReadToEnd() == "+OK\r\n+OK\r\n");
  RawClient other(server.port());
  other.Send(Request({"GET", "a"}));
  CHECK(other.Read(7) == "$1\r\n1\r\n");
}

TEST_CASE("Wire: CLIENT REPLY SKIP and OFF leave replies out", "[server][wire]") {
  const TempDir dir;
  ServerProcess server(VARVE_SERVER, dir.path());
  RawClient client(server.port());
  client.Send("CLIENT REPLY SKIP\r\nSET a 1\r\nGET a\r\n");
  CHECK(client.Read(7) == "$1\r\n1\r\n");
  client.Send("CLIENT REPLY OFF\r\nSET a 2\r\nGET a\r\nCLIENT REPLY ON\r\nGET a\r\n");
  CHECK(client.Read(12) == "+OK\r\n$1\r\n2\r\n");
}

TEST_CASE("Wire: DEBUG SLEEP holds up its own client only", "[server][wire]") {
  const TempDir dir;
  ServerProcess server(VARVE_SERVER, dir.path(),
                       {"--enable-debug-command", "local", "--io-threads", "1"});
  RawClient sleeper(server.port());
  RawClient other(server.port());
  const auto start = std::chrono::steady_clock::now();
  sleeper.Send("SET a 1\r\nDEBUG SLEEP 0.5\r\nGET a\r\n");
  CHECK(sleeper.Read(1, 20).empty());
  for (int i = 0; i < 100; ++i) {
    other.Send("PING\r\n");
    CHECK(other.Read(7) == "+PONG\r\n");
  }
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::milliseconds(450));
  CHECK(sleeper.Read(17) == "+OK\r\n+OK\r\n$1\r\n1\r\n");
  CHECK(std::chrono::steady_clock::now() - start >= std::chrono::milliseconds(490));
}

}  // namespace
}  // namespace varve::server::test
