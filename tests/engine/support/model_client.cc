#include "engine/support/model_client.h"

#include <fmt/format.h>

#include <set>
#include <utility>

#include "engine/invariant.h"

namespace varve::engine::testing {
namespace {

Answer Perform(Guard& guard, const Operation& operation) {
  Answer answer;
  switch (operation.kind) {
    case Operation::Kind::kGet: {
      const Lookup found = guard.Get(operation.db, operation.key);
      answer.is_fault = found.presence == Presence::kFault;
      if (found.presence == Presence::kPresent) answer.value = std::string(found.value.bytes);
      break;
    }
    case Operation::Kind::kPut:
      guard.Put(operation.db, operation.key, {operation.value, nullptr});
      break;
    case Operation::Kind::kDelete: {
      const Presence presence = guard.Delete(operation.db, operation.key);
      answer.is_fault = presence == Presence::kFault;
      answer.was_present = presence == Presence::kPresent;
      break;
    }
    case Operation::Kind::kClear:
      guard.Clear(operation.db);
      break;
    case Operation::Kind::kCount: {
      const std::optional<uint64_t> count = guard.KeyCount(operation.db);
      answer.is_fault = !count;
      answer.count = count.value_or(0);
      break;
    }
    case Operation::Kind::kScan: {
      std::optional<ScanPage> page = guard.Scan(operation.db, operation.from, operation.count_hint);
      answer.is_fault = !page;
      if (page) answer.page = *std::move(page);
      break;
    }
    case Operation::Kind::kRandomKey: {
      std::optional<std::optional<std::string>> key = guard.RandomKey(operation.db);
      answer.is_fault = !key;
      if (key) answer.value = *std::move(key);
      break;
    }
  }
  return answer;
}

std::string Shown(const std::optional<std::string>& value) {
  return value ? fmt::format("'{}' ({} bytes)", value->substr(0, 40), value->size()) : "nothing";
}

}  // namespace

// ---- KeyModel

std::string KeyModel::Apply(const Operation& operation, const Answer& answer) {
  Rows& rows = databases_.at(operation.db);
  switch (operation.kind) {
    case Operation::Kind::kGet: {
      const auto row = rows.find(operation.key);
      const auto right = row == rows.end() ? std::optional<std::string>() : row->second;
      if (answer.value == right) return "";
      return fmt::format("GET {}: {} instead of {}", operation.key, Shown(answer.value),
                         Shown(right));
    }
    case Operation::Kind::kPut:
      rows[operation.key] = operation.value;
      return "";
    case Operation::Kind::kDelete:
      if ((rows.erase(operation.key) == 1) == answer.was_present) return "";
      return fmt::format("DEL {}: said to be {}", operation.key,
                         answer.was_present ? "there" : "absent");
    case Operation::Kind::kClear:
      rows.clear();
      return "";
    case Operation::Kind::kCount:
      if (answer.count == rows.size()) return "";
      return fmt::format("DBSIZE: {} instead of {}", answer.count, rows.size());
    case Operation::Kind::kScan:
      return CheckPage(operation, answer.page);
    case Operation::Kind::kRandomKey:
      if (answer.value ? rows.contains(*answer.value) : rows.empty()) return "";
      return fmt::format("RANDOMKEY: {} among {} keys", Shown(answer.value), rows.size());
  }
  return "an unknown operation";
}

// A page has exactly the keys that are live between its two tokens when it is given out.
std::string KeyModel::CheckPage(const Operation& operation, const ScanPage& page) const {
  const ScanToken end = page.next == 0 ? ~ScanToken{0} : page.next;
  std::multiset<std::string> right;
  for (const auto& [key, value] : rows(operation.db)) {
    const ScanToken token = tokens_.at(key);
    if (token >= operation.from && token < end) right.insert(key);
  }
  const std::multiset<std::string> got(page.keys.begin(), page.keys.end());
  if (got == right) return "";
  return fmt::format("SCAN from {} to {}: {} keys instead of {}", operation.from, page.next,
                     got.size(), right.size());
}

// ---- ModelClient

ModelClient::~ModelClient() {
  INVARIANT(state_ != State::kWaiting);
  if (state_ == State::kResumed) Abandon();
}

ModelClient::State ModelClient::Start(Command command, std::vector<std::string> look_ahead) {
  INVARIANT(state_ == State::kIdle);
  command_ = std::move(command);
  runs_ = 0;
  refusal_.reset();
  Run(look_ahead);
  return state_;
}

ModelClient::State ModelClient::Again() {
  INVARIANT(state_ == State::kResumed);
  Run({});
  return state_;
}

void ModelClient::Abandon() {
  INVARIANT(state_ == State::kResumed);
  {
    Guard guard(engine_, transaction_);
    guard.Rollback();
  }
  transaction_ = Transaction();
  state_ = State::kIdle;
}

bool ModelClient::TryAndForget(const Command& command) {
  INVARIANT(state_ == State::kIdle);
  bool is_fault = false;
  {
    Guard guard(engine_, transaction_);
    guard.Begin();
    for (const Operation& operation : command) is_fault |= Perform(guard, operation).is_fault;
    if (is_fault) INVARIANT(guard.Commit() == Outcome::kWait);
    guard.Rollback();
  }
  transaction_ = Transaction();
  return is_fault;
}

void ModelClient::Run(const std::vector<std::string>& look_ahead) {
  ++runs_;
  answers_.clear();
  bool is_fault = false;
  Guard guard(engine_, transaction_);
  guard.Begin();
  for (const Operation& operation : command_) {
    answers_.push_back(Perform(guard, operation));
    is_fault |= answers_.back().is_fault;
  }
  switch (guard.Commit()) {
    case Outcome::kDone:
      Finish(is_fault);
      break;
    case Outcome::kRefused:
      refusal_ = guard.refusal();
      state_ = State::kIdle;
      break;
    case Outcome::kWait:
      for (const std::string& key : look_ahead) guard.Prefetch(0, key);
      state_ = State::kWaiting;
      guard.Wait([this] { state_ = State::kResumed; });
      break;
  }
}

void ModelClient::Finish(bool is_fault) {
  state_ = State::kIdle;
  std::string wrong = is_fault ? "done in spite of a fault" : "";
  for (size_t i = 0; i < command_.size(); ++i) {
    const std::string answer_wrong = model_.Apply(command_[i], answers_[i]);
    if (wrong.empty()) wrong = answer_wrong;
  }
  if (mismatch_.empty()) mismatch_ = wrong;
}

}  // namespace varve::engine::testing
