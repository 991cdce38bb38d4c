#include "resp/reply.h"

#include <catch2/catch.hpp>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace varve::resp {
namespace {

std::string Written(int protocol, const std::function<void(ReplyBuffer&)>& write) {
  ReplyBuffer reply;
  reply.set_protocol(protocol);
  write(reply);
  return reply.ToString();
}

struct TypeCase {
  std::function<void(ReplyBuffer&)> write;
  std::string resp2;
  std::string resp3;
};

TEST_CASE("Replies: each type in both protocols", "[resp][reply]") {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const TypeCase cases[] = {
      {[](auto& r) { r.SimpleString("OK"); }, "+OK\r\n", "+OK\r\n"},
      {[](auto& r) { r.Ok(); }, "+OK\r\n", "+OK\r\n"},
      {[](auto& r) { r.Error("ERR a\r\nb"); }, "-ERR a  b\r\n", "-ERR a  b\r\n"},
      {[](auto& r) { r.Integer(0); }, ":0\r\n", ":0\r\n"},
      {[](auto& r) { r.Integer(-42); }, ":-42\r\n", ":-42\r\n"},
      {[](auto& r) { r.Null(); }, "$-1\r\n", "_\r\n"},
      {[](auto& r) { r.NullArray(); }, "*-1\r\n", "_\r\n"},
      {[](auto& r) { r.Bool(true); }, ":1\r\n", "#t\r\n"},
      {[](auto& r) { r.Bool(false); }, ":0\r\n", "#f\r\n"},
      {[](auto& r) { r.Double(1.5); }, "$3\r\n1.5\r\n", ",1.5\r\n"},
      {[](auto& r) { r.Double(-kInfinity); }, "$4\r\n-inf\r\n", ",-inf\r\n"},
      {[](auto& r) { r.BigNumber("123"); }, "$3\r\n123\r\n", "(123\r\n"},
      {[](auto& r) { r.Bulk(""); }, "$0\r\n\r\n", "$0\r\n\r\n"},
      {[](auto& r) { r.Bulk("a\r\nb"); }, "$4\r\na\r\nb\r\n", "$4\r\na\r\nb\r\n"},
      {[](auto& r) { r.Verbatim("txt", "ab"); }, "$2\r\nab\r\n", "=6\r\ntxt:ab\r\n"},
      {[](auto& r) { r.Array(10); }, "*10\r\n", "*10\r\n"},
      {[](auto& r) { r.Map(2); }, "*4\r\n", "%2\r\n"},
      {[](auto& r) { r.Set(3); }, "*3\r\n", "~3\r\n"},
      {[](auto& r) { r.Push(1); }, "*1\r\n", ">1\r\n"},
      {[](auto& r) { r.Raw(":7\r\n"); }, ":7\r\n", ":7\r\n"},
  };
  for (const TypeCase& each : cases) {
    CHECK(Written(2, each.write) == each.resp2);
    CHECK(Written(3, each.write) == each.resp3);
  }
}

TEST_CASE("Replies: a large value is referred to, not copied", "[resp][reply]") {
  const auto value = std::make_shared<const std::string>(kSharedBytes, 'v');
  const auto small = std::make_shared<const std::string>(kSharedBytes - 1, 's');
  ReplyBuffer reply;
  reply.Ok();
  reply.Bulk(*value, value);
  reply.Bulk(*small, small);
  reply.Bulk(*value, nullptr);
  CHECK(value.use_count() == 2);
  CHECK(small.use_count() == 1);
  std::vector<std::string_view> pieces;
  reply.AppendPieces(pieces);
  REQUIRE(pieces.size() == 3);
  CHECK(pieces[0] == "+OK\r\n$32768\r\n");
  CHECK(pieces[1].data() == value->data());
  CHECK(pieces[2].starts_with("\r\n$32767\r\n"));
  const std::string bulk = "$32768\r\n" + *value + "\r\n";
  CHECK(reply.ToString() == "+OK\r\n" + bulk + "$32767\r\n" + *small + "\r\n" + bulk);
  CHECK(reply.size() == reply.ToString().size());
  reply.Clear();
  CHECK(reply.empty());
  CHECK(value.use_count() == 1);
  CHECK(reply.held_bytes() <= 64 * 1024);
}

TEST_CASE("Replies: half a reply can be taken back", "[resp][reply]") {
  const auto value = std::make_shared<const std::string>(kSharedBytes, 'v');
  ReplyBuffer reply;
  reply.Bulk(*value, value);
  reply.Integer(1);
  const std::string before = reply.ToString();
  const ReplyBuffer::Mark mark = reply.mark();
  CHECK(reply.FirstByteAfter(mark) == '\0');
  reply.Error("ERR no");
  CHECK(reply.FirstByteAfter(mark) == '-');
  CHECK(reply.BytesAfter(mark) == "-ERR no\r\n");
  reply.Array(2);
  reply.Bulk(*value, value);
  reply.TruncateTo(mark);
  CHECK(value.use_count() == 2);
  CHECK(reply.ToString() == before);
  CHECK(reply.size() == before.size());
}

TEST_CASE("Replies: pieces one after the other, and none at all", "[resp][reply]") {
  const auto value = std::make_shared<const std::string>(kSharedBytes, 'v');
  ReplyBuffer reply;
  std::vector<std::string_view> pieces;
  reply.AppendPieces(pieces);
  CHECK(pieces.empty());
  reply.RawShared(value);
  reply.RawShared(value);
  reply.RawShared(std::make_shared<const std::string>("x"));
  reply.AppendPieces(pieces);
  CHECK(pieces == std::vector<std::string_view>{*value, *value, "x"});
}

}  // namespace
}  // namespace varve::resp
