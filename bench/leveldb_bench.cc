// db_bench's workloads on LevelDB (libleveldb-dev), which Debian ships without its own db_bench.
#include <fmt/core.h>
#include <leveldb/cache.h>
#include <leveldb/db.h>
#include <leveldb/filter_policy.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include "workloads.h"

namespace varve::bench {
namespace {

constexpr int kFilterBitsPerKey = 10;

void OrExit(const leveldb::Status& status) {
  if (status.ok()) return;
  fmt::print(stderr, "leveldb_bench: {}\n", status.ToString());
  std::exit(1);
}

leveldb::Slice ToSlice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }

class LevelDbSession : public Session {
 public:
  explicit LevelDbSession(leveldb::DB& db) : db_(db) {}

  void Put(std::string_view key, std::string_view value) override {
    OrExit(db_.Put(leveldb::WriteOptions(), ToSlice(key), ToSlice(value)));
  }

  bool Get(std::string_view key) override {
    const leveldb::Status status = db_.Get(leveldb::ReadOptions(), ToSlice(key), &value_);
    if (status.IsNotFound()) return false;
    OrExit(status);
    return true;
  }

  uint64_t Scan() override {
    leveldb::ReadOptions options;
    options.fill_cache = false;
    const std::unique_ptr<leveldb::Iterator> iterator(db_.NewIterator(options));
    uint64_t count = 0;
    for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) ++count;
    OrExit(iterator->status());
    return count;
  }

 private:
  leveldb::DB& db_;
  std::string value_;
};

class LevelDbStore : public Store {
 public:
  explicit LevelDbStore(const Flags& flags)
      : cache_(leveldb::NewLRUCache(flags.cache_size)),
        filter_(leveldb::NewBloomFilterPolicy(kFilterBitsPerKey)) {
    leveldb::Options options;
    options.create_if_missing = true;
    options.write_buffer_size = flags.write_buffer_size;
    options.block_cache = cache_.get();
    options.filter_policy = filter_.get();
    options.compression = leveldb::kSnappyCompression;
    leveldb::DB* db = nullptr;
    OrExit(leveldb::DB::Open(options, flags.db, &db));
    db_.reset(db);
  }

  std::unique_ptr<Session> NewSession() override { return std::make_unique<LevelDbSession>(*db_); }

  void WaitForCompaction() override {
    using std::chrono_literals::operator""ms;
    std::string last;
    for (int same = 0; same < 10;) {  // no file came or went for a second
      std::string now;
      db_->GetProperty("leveldb.sstables", &now);
      same = now == last ? same + 1 : 0;
      last = std::move(now);
      std::this_thread::sleep_for(100ms);
    }
  }

  void PrintStats() override {
    std::string text;
    if (db_->GetProperty("leveldb.stats", &text)) fmt::print("{}", text);
  }

 private:
  std::unique_ptr<leveldb::Cache> cache_;
  std::unique_ptr<const leveldb::FilterPolicy> filter_;
  std::unique_ptr<leveldb::DB> db_;
};

}  // namespace
}  // namespace varve::bench

int main(int argc, char** argv) {
  varve::bench::Flags flags;
  CLI::App app("db_bench's workloads on LevelDB");
  flags.AddTo(app);
  CLI11_PARSE(app, argc, argv);
  if (!flags.use_existing_db) std::filesystem::remove_all(flags.db);
  varve::bench::LevelDbStore store(flags);
  varve::bench::RunWorkloads(store, flags);
  return 0;
}
