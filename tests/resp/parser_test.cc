#include "resp/parser.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace varve::resp {
namespace {

using Request = std::vector<std::string>;

struct Outcome {
  std::vector<Request> requests;
  std::string error;

  bool operator==(const Outcome&) const = default;
};

// Hands `bytes` to the parser in reads of at most `read_bytes`, with as many requests per batch as
// there are, and copies what it makes of them.
Outcome Parse(std::string_view bytes, size_t read_bytes, Parser& parser) {
  Outcome outcome;
  std::vector<Argument> args;
  while (!bytes.empty()) {
    const std::span<char> room = parser.Prepare();
    const size_t size = std::min({room.size(), read_bytes, bytes.size()});
    REQUIRE(size > 0);
    std::memcpy(room.data(), bytes.data(), size);
    parser.Commit(size);
    bytes.remove_prefix(size);
    std::vector<size_t> begins;
    Parsed parsed = Parsed::kIncomplete;
    size_t begin = 0;
    while ((parsed = parser.Next(args)) == Parsed::kCommand) {
      begins.push_back(begin);
      begin = args.size();
    }
    begins.push_back(begin);
    REQUIRE(begin == args.size());  // nothing is appended without a whole request
    for (size_t index = 0; index + 1 < begins.size(); ++index) {  // the batch stays valid together
      Request request;
      for (size_t arg = begins[index]; arg < begins[index + 1]; ++arg) {
        if (args[arg].owner != nullptr) REQUIRE(*args[arg].owner == args[arg].bytes);
        CHECK((args[arg].owner != nullptr) == (args[arg].bytes.size() >= kSharedBytes));
        request.emplace_back(args[arg].bytes);
      }
      outcome.requests.push_back(std::move(request));
    }
    args.clear();
    parser.Release();
    if (parsed == Parsed::kError) {
      outcome.error = parser.error();
      CHECK(parser.Next(args) == Parsed::kError);
      break;
    }
  }
  return outcome;
}

Outcome Parse(std::string_view bytes, size_t read_bytes = 1 << 20) {
  Parser parser;
  return Parse(bytes, read_bytes, parser);
}

std::string Encode(const Request& request) {
  std::string bytes = "*" + std::to_string(request.size()) + "\r\n";
  for (const std::string& argument : request) {
    bytes += "$" + std::to_string(argument.size()) + "\r\n" + argument + "\r\n";
  }
  return bytes;
}

TEST_CASE("Parser: requests come out as they went in, split at any byte", "[resp][parser]") {
  const std::vector<Request> requests = {
      {"PING"},
      {"SET", "key", std::string(100, 'v')},
      {"SET", "", ""},
      {"MSET", "a", "\r\n", "b", std::string("\0$*\r", 4)},
      {std::string(9, 'x'), std::string(10, 'y'), std::string(99, 'z'), std::string(1000, 'w')},
      Request(12, "many"),
  };
  std::string bytes;
  for (const Request& request : requests) bytes += Encode(request);
  bytes += "*0\r\n*-1\r\n\r\n  \r\nPING \"in line\"\r\n";
  std::vector<Request> expected = requests;
  expected.push_back({"PING", "in line"});

  SECTION("reads of each size") {
    for (size_t read_bytes = 1; read_bytes <= bytes.size(); ++read_bytes) {
      CAPTURE(read_bytes);
      CHECK(Parse(bytes, read_bytes) == Outcome{expected, ""});
    }
  }
  SECTION("two reads, split at each byte") {
    for (size_t split = 1; split < bytes.size(); ++split) {
      CAPTURE(split);
      Parser parser;
      Outcome first = Parse(bytes.substr(0, split), split, parser);
      Outcome second = Parse(bytes.substr(split), bytes.size(), parser);
      std::move(second.requests.begin(), second.requests.end(), std::back_inserter(first.requests));
      CHECK(first == Outcome{expected, ""});
    }
  }
}

TEST_CASE("Parser: a pipeline larger than the buffer", "[resp][parser]") {
  std::string bytes;
  std::vector<Request> expected;
  for (int index = 0; index < 5000; ++index) {
    expected.push_back({"SET", std::to_string(index), std::string(index % 300, 'v')});
    bytes += Encode(expected.back());
  }
  for (const size_t read_bytes : {7u, 1000u, 16384u, 1u << 20}) {
    CAPTURE(read_bytes);
    CHECK(Parse(bytes, read_bytes) == Outcome{expected, ""});
  }
}

TEST_CASE("Parser: arguments around the size that is shared", "[resp][parser]") {
  for (const size_t size : {kSharedBytes - 1, kSharedBytes, kSharedBytes + 1, size_t{100'000}}) {
    std::string value(size, 'v');
    for (size_t at = 0; at < size; at += 97) value[at] = static_cast<char>(at);
    const std::vector<Request> expected = {{"SET", "k", value}, {"MSET", "a", value, "b", value}};
    const std::string bytes = Encode(expected[0]) + Encode(expected[1]);
    for (const size_t read_bytes : {size_t{11}, size_t{4096}, size_t{16384}, bytes.size()}) {
      CAPTURE(size, read_bytes);
      CHECK(Parse(bytes, read_bytes) == Outcome{expected, ""});
    }
  }
}

TEST_CASE("Parser: each protocol error has Redis's text", "[resp][parser]") {
  const std::string many(kInlineBytesMax + 200, '1');  // PING comes with a later read
  const std::pair<std::string, std::string> cases[] = {
      {"*a\r\n", "invalid multibulk length"},
      {"*\r\n", "invalid multibulk length"},
      {"*01\r\n", "invalid multibulk length"},
      {"*+1\r\n", "invalid multibulk length"},
      {"*-0\r\n", "invalid multibulk length"},
      {"*1048577\r\n", "invalid multibulk length"},
      {"*99999999999999999999\r\n", "invalid multibulk length"},
      {"*" + many, "too big mbulk count string"},
      {"*1\r\nx\r\n", "expected '$', got 'x'"},
      {"*2\r\n$1\r\na\r\n:1\r\n", "expected '$', got ':'"},
      {"*1\r\n$-1\r\n", "invalid bulk length"},
      {"*1\r\n$\r\n", "invalid bulk length"},
      {"*1\r\n$04\r\n", "invalid bulk length"},
      {"*1\r\n$536870913\r\n", "invalid bulk length"},
      {"*1\r\n$1000000000000000000\r\n", "invalid bulk length"},
      {"*1\r\n$" + many, "too big bulk count string"},
      {many, "too big inline request"},
      {"\"abc\r\n", "unbalanced quotes in request"},
      {"'abc\r\n", "unbalanced quotes in request"},
      {"a \"b\"c\r\n", "unbalanced quotes in request"},
  };
  for (const auto& [bytes, text] : cases) {
    CAPTURE(bytes.substr(0, 40));
    // What comes before the error is served, what comes behind is not.
    const Outcome expected{{{"PING"}}, "ERR Protocol error: " + text};
    CHECK(Parse("*1\r\n$4\r\nPING\r\n" + bytes) == expected);
    CHECK(Parse("PING\r\n" + bytes + "PING\r\n", 100) == expected);
  }
}

TEST_CASE("Parser: the limits themselves are allowed", "[resp][parser]") {
  const std::string word(kInlineBytesMax - 2, 'a');
  CHECK(Parse(word + "\r\n") == Outcome{{{word}}, ""});
  CHECK(Parse("*1048576\r\n") == Outcome{{}, ""});
  CHECK(Parse("*1\r\n$536870912\r\n") == Outcome{{}, ""});
  const std::string bytes = "*1\r\n$50000\r\n" + std::string(50'000, 'a') + "\r\n";
  Parser parser(50'000);
  CHECK(Parse(bytes, 100, parser).error.empty());
  parser.set_bulk_bytes_max(49'999);
  CHECK(Parse(bytes, 100, parser).error == "ERR Protocol error: invalid bulk length");
}

TEST_CASE("Parser: line ends are taken as Redis takes them", "[resp][parser]") {
  CHECK(Parse("*1\rx$4\rxPINGxx*1\r\n$1\r\na\r\n") == Outcome{{{"PING"}, {"a"}}, ""});
  CHECK(Parse("ping\nping\r\n") == Outcome{{{"ping"}, {"ping"}}, ""});
}

TEST_CASE("Parser: a large argument takes memory as it arrives", "[resp][parser]") {
  Parser parser;
  std::vector<Argument> args;
  const size_t announced = 500 << 20;
  const std::string head = "*2\r\n$3\r\nGET\r\n$" + std::to_string(announced) + "\r\n";
  size_t arrived = 0;
  std::string_view bytes = head;
  const std::string body(100'000, 'b');
  while (arrived < 20'000'000) {
    const std::span<char> room = parser.Prepare();
    const size_t size = std::min(room.size(), bytes.size());
    std::memcpy(room.data(), bytes.data(), size);
    parser.Commit(size);
    bytes.remove_prefix(size);
    arrived += size;
    REQUIRE(parser.Next(args) == Parsed::kIncomplete);
    parser.Release();
    REQUIRE(parser.held_bytes() < 2 * arrived + (256 << 10));
    if (bytes.empty()) bytes = body;
  }
}

TEST_CASE("Parser: many small arguments in small reads cost O(bytes)", "[resp][parser]") {
  // A million arguments: a rescan or a move of all of them per read would not end.
  Request request(1 << 20, "x");
  CHECK(Parse(Encode(request), 1000) == Outcome{{request}, ""});
}

TEST_CASE("Parser: a large buffer is given back, an empty one on request", "[resp][parser]") {
  Parser parser;
  const Request request(100'000, "xyz");
  CHECK(Parse(Encode(request), 1 << 20, parser) == Outcome{{request}, ""});
  static_cast<void>(parser.Prepare());
  CHECK(parser.held_bytes() <= 64 * 1024);
  parser.FreeIfEmpty();
  CHECK(parser.held_bytes() == 0);
  CHECK(Parse("*1\r\n$4\r\nPI", 100, parser) == Outcome{});
  parser.FreeIfEmpty();  // not empty
  CHECK(Parse("NG\r\n", 100, parser) == Outcome{{{"PING"}}, ""});
}

// Bytes that are often nearly right, so that they get deep into the state machine.
std::string NearlyRight(std::mt19937& random) {
  static const std::string pieces[] = {"*",        "$",      "\r\n",
                                       "\r",       "\n",     "1",
                                       "3",        "10",     "-1",
                                       "SET",      "key",    "'",
                                       "\"",       "\\x4",   "$3\r\nabc\r\n",
                                       " ",        "*2\r\n", std::string("\0\xff", 2),
                                       "40000\r\n"};
  std::string bytes;
  for (size_t count = random() % 40; count != 0; --count) {
    bytes += pieces[random() % std::size(pieces)];
  }
  return bytes;
}

TEST_CASE("Parser: random bytes make the same of it however they are split", "[resp][parser]") {
  const uint32_t seed = std::random_device()();
  CAPTURE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 3000; ++round) {
    const std::string bytes = NearlyRight(random);
    const Outcome whole = Parse(bytes);
    const size_t read_bytes = 1 + random() % 5;
    CAPTURE(bytes, read_bytes);
    REQUIRE(Parse(bytes, read_bytes) == whole);
  }
}

TEST_CASE("Parser: a megabyte of random bytes ends in an error or in requests", "[resp][parser]") {
  std::mt19937 random(1);
  std::string bytes(1 << 20, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  bytes[0] = 'x';
  static_cast<void>(Parse(bytes, 1000));  // must only end; ASan watches
  bytes[0] = '*';
  CHECK(Parse(bytes, 1000).error == "ERR Protocol error: invalid multibulk length");
}

}  // namespace
}  // namespace varve::resp
