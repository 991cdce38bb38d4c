#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace varve::engine::testing {

// One operation of a Guard. A command is a list of them; kCount, kScan and kRandomKey stand alone.
struct Operation {
  enum class Kind { kGet, kPut, kDelete, kClear, kCount, kScan, kRandomKey };
  Kind kind;
  int db = 0;
  std::string key = {};
  std::string value = {};
  ScanToken from = 0;
  size_t count_hint = 0;
};
using Command = std::vector<Operation>;

inline Operation Get(std::string key) { return {Operation::Kind::kGet, 0, std::move(key)}; }
inline Operation Put(std::string key, std::string value) {
  return {Operation::Kind::kPut, 0, std::move(key), std::move(value)};
}
inline Operation Delete(std::string key) { return {Operation::Kind::kDelete, 0, std::move(key)}; }
inline Operation Clear() { return {Operation::Kind::kClear}; }
inline Operation Count() { return {Operation::Kind::kCount}; }

// What the engine said to one operation, with bytes of its own.
struct Answer {
  bool is_fault = false;
  std::optional<std::string> value;  // kGet; kRandomKey: the key
  bool was_present = false;          // kDelete
  uint64_t count = 0;
  ScanPage page;
};

// What the databases hold after the commands that were committed so far. Threads: one.
class KeyModel {
 public:
  using Rows = std::map<std::string, std::string>;

  // Performs the operation. Returns what is wrong with the engine's answer to it, "" if nothing is.
  std::string Apply(const Operation& operation, const Answer& answer);
  const Rows& rows(int db) const { return databases_.at(db); }
  // Where each key stands in SCAN; all keys that are ever written.
  std::map<std::string, ScanToken>& tokens() { return tokens_; }

 private:
  std::string CheckPage(const Operation& operation, const ScanPage& page) const;

  std::array<Rows, kDatabaseCount> databases_;
  std::map<std::string, ScanToken> tokens_;
};

// A connection that runs one command at a time, in steps that the test takes, and checks what it is
// answered against the model at the moment of the commit. `Start` and `Again` run it once.
// Threads: one. Lifetime: engine and model outlive it; not destroyed while it waits.
class ModelClient {
 public:
  enum class State {
    kIdle,     // no command, or the last one has ended
    kWaiting,  // for rows, room or settled counts
    kResumed,  // Again() goes on
  };

  ModelClient(Engine& engine, KeyModel& model) : engine_(engine), model_(model) {}
  ~ModelClient();
  ModelClient(const ModelClient&) = delete;
  ModelClient& operator=(const ModelClient&) = delete;

  // `look_ahead`: keys of commands behind this one, to be loaded along if it waits.
  State Start(Command command, std::vector<std::string> look_ahead = {});
  State Again();
  // Instead of Again(): the connection is lost, its command forgotten.
  void Abandon();
  // A command that is given up at its first fault, before it waits. True: it has met one.
  bool TryAndForget(const Command& command);

  State state() const { return state_; }
  size_t runs() const { return runs_; }  // of the present or last command
  // Of the last command: that it was refused, and why.
  const std::optional<Error>& refusal() const { return refusal_; }
  const std::vector<Answer>& answers() const { return answers_; }  // of the last run
  const std::string& mismatch() const { return mismatch_; }  // the first one ever; empty: none

 private:
  void Run(const std::vector<std::string>& look_ahead);
  void Finish(bool is_fault);

  Engine& engine_;
  KeyModel& model_;
  Transaction transaction_;
  Command command_;
  std::vector<Answer> answers_;
  std::optional<Error> refusal_;
  std::string mismatch_;
  State state_ = State::kIdle;
  size_t runs_ = 0;
};

}  // namespace varve::engine::testing
