#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/support/held_block_reader.h"
#include "engine/support/model_client.h"
#include "engine/support/simulated_env.h"

namespace varve::engine::testing {

// An engine on a simulated machine whose block reads are held, and its clients. A few dozen keys of
// database 0 lie in tables of several layers, with deleted and overwritten ones among them, and
// none of these rows is in memory. A few more keys are fillers, which make memtables full. All from
// one seed, on one thread: nothing moves by itself.
class HeldEngine {
 public:
  struct Limits {
    uint64_t write_buffer_bytes = 1024;
    uint64_t memory_bytes_max = 1 << 20;
    size_t block_bytes = 256;
    size_t settling_loads_max = 1024;
    int sealed_memtables_max = 4;
    int filter_bits_per_key = 10;
    size_t value_threshold_bytes = 0;
  };
  static constexpr int kKeys = 40;

  HeldEngine(uint64_t seed, const Limits& limits);
  ~HeldEngine();

  Engine& engine() { return *engine_; }
  HeldBlockReader& reader() { return reader_; }
  SimulatedEnv& machine() { return machine_; }
  KeyModel& model() { return model_; }
  Stats stats() { return engine_->stats(); }
  // What the first wrong answer to any client was; empty: all were right.
  const std::string& mismatch() const { return mismatch_; }

  uint64_t Below(uint64_t end) { return random_() % end; }
  static std::string Key(uint64_t index) { return "key" + std::to_string(index); }
  std::string AnyKey() { return Key(Below(kKeys)); }
  std::string LiveKey();  // one that has a value
  std::string Value();    // never the same twice
  Command GetAll();       // of all keys but the fillers, one behind the other, from any one on

  ModelClient& NewClient();
  void Lose(ModelClient& client);  // destroys it; it does not wait

  // ---- One thing at a time. What was held before stays held, everything else goes its way.
  void GoOnBeside(uint64_t us = 0);  // for so long
  // The command, by one more client, to its end. It must not need what is held.
  std::vector<Answer> Do(const Command& command);
  // What was written until now comes to be in tables (rows in memory stay there).
  void Flush();
  // At least one compaction of the database's tables.
  void Compact();
  // All rows leave memory that are in tables and not pinned.
  void Evict();
  // From now on there is no room for rows beside the memtables; or as much as the limits leave.
  void TakeCache();
  void GiveCache();

  // ---- To an end.
  // Reads end in any order, with all that follows from them. The clock stands.
  void LetGo();
  // The same, with the clock; resumed clients run again. Returns when no client has a command.
  void FinishAll();
  // FinishAll(), then every key, DBSIZE and SCAN are compared with the model.
  void CheckAll();
  // Closes the engine, with the reads that are held coming in meanwhile, and opens it anew. The
  // clients' commands are forgotten.
  enum class ReadsEnd { kWell, kInErrors };
  void Reopen(ReadsEnd how = ReadsEnd::kWell);

 private:
  void Open();
  void LearnTokens();
  void EndOneRead(ReadsEnd how);
  void Close(ReadsEnd how);

  std::mt19937_64 random_;
  SimulatedEnv machine_;
  HeldBlockReader reader_;
  Env env_;
  Options options_;
  KeyModel model_;
  std::string mismatch_;
  std::unique_ptr<Engine> engine_;
  std::vector<std::unique_ptr<ModelClient>> clients_;  // destroyed before the engine
  uint64_t written_ = 0;
  bool has_cache_ = true;
  bool is_closing_ = false;
};

}  // namespace varve::engine::testing
