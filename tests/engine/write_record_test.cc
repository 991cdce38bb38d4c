#include "engine/write_record.h"

#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <vector>

namespace varve::engine {
namespace {

std::string Payload(const WalRecord& record) {
  std::string payload(record.head);
  for (const Value& value : record.large_values) payload += value.bytes;
  return payload;
}

struct Recorder {
  std::vector<std::string> operations;
  WriteRecordVisitor visitor{
      [this](TreeId tree, Existence existence, const Row& row) -> Result<void> {
        operations.push_back("put " + std::to_string(tree) + " " +
                             std::to_string(static_cast<int>(existence)) + " " +
                             std::string(row.key) + "=" + std::string(row.value));
        return {};
      },
      [this](TreeId tree, const Row& row) -> Result<void> {
        operations.push_back("delete " + std::to_string(tree) + " " + std::string(row.key));
        return {};
      },
      [this](int db, TreeId tree) -> Result<void> {
        operations.push_back("tree " + std::to_string(db) + " " + std::to_string(tree));
        return {};
      }};
};

std::string SampleRecord(WriteRecordBuilder& builder) {
  const auto large = std::make_shared<const std::string>(40000, 'L');
  const auto other = std::make_shared<const std::string>(33000, 'M');
  builder.Clear();
  builder.Put(1, Existence::kUnknown, {0, "a", "1"}, {"1", nullptr});
  builder.Put(300, Existence::kAbsent, {0, "big", *large}, {*large, large});
  builder.Delete(2, {0, "gone", {}, ValueType::kString, true});
  builder.NewTree(15, 77);
  builder.Put(77, Existence::kLive, {0, "", *other}, {*other, other});
  return Payload(builder.Finish());
}

TEST_CASE("write record: what was built is parsed, large values included", "[engine]") {
  WriteRecordBuilder builder;
  const std::string payload = SampleRecord(builder);
  Recorder recorder;
  REQUIRE(ParseWriteRecord(payload, recorder.visitor).has_value());
  const std::vector<std::string> expected = {
      "put 1 2 a=1", "put 300 1 big=" + std::string(40000, 'L'), "delete 2 gone", "tree 15 77",
      "put 77 0 =" + std::string(33000, 'M')};
  CHECK(recorder.operations == expected);

  builder.Clear();
  builder.NewTree(0, 5);
  Recorder second;
  REQUIRE(ParseWriteRecord(Payload(builder.Finish()), second.visitor).has_value());
  CHECK(second.operations == std::vector<std::string>{"tree 0 5"});
}

TEST_CASE("write record: cut or damaged bytes are refused or parsed, never read past", "[engine]") {
  WriteRecordBuilder builder;
  const std::string payload = SampleRecord(builder);
  for (size_t cut = 0; cut < payload.size(); cut = cut < 200 ? cut + 1 : cut + 997) {
    CAPTURE(cut);
    Recorder recorder;
    CHECK_FALSE(ParseWriteRecord(payload.substr(0, cut), recorder.visitor).has_value());
  }
  std::mt19937_64 random(3);
  for (int i = 0; i < 3000; ++i) {
    std::string damaged = payload.substr(0, 200);
    damaged[random() % damaged.size()] = static_cast<char>(random());
    Recorder recorder;
    const Result<void> parsed = ParseWriteRecord(damaged, recorder.visitor);
    if (!parsed) CHECK(parsed.error().code == Errc::kCorruption);
  }
}

}  // namespace
}  // namespace varve::engine
