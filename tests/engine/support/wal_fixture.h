#pragma once

#include <spdlog/logger.h>
#include <spdlog/sinks/ringbuffer_sink.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/support/simulated_env.h"
#include "engine/wal.h"

namespace varve::engine::testing {

inline const std::string kWalDirectory = "db";

// Of as much as two segments, the least that a WAL asks for.
inline std::shared_ptr<SpaceReserve> SmallReserve(const Env& env, const Options& options) {
  return std::make_shared<SpaceReserve>(env, options, 0);
}

// Different for each index, of about `bytes` bytes.
inline std::string WalPayload(uint64_t index, size_t bytes = 24) {
  std::string payload = fmt::format("record {:08}:", index);
  payload.resize(std::max(payload.size(), bytes), static_cast<char>('a' + index % 26));
  return payload;
}

struct RecoveredWal {
  WalRecovery found;
  std::vector<std::string> payloads;
  std::vector<uint64_t> segments;  // of each payload
};

inline Result<RecoveredWal> ReadWal(const Env& env, uint64_t oldest = 1) {
  RecoveredWal recovered;
  TRY(env.files->CreateDirectories(kWalDirectory));
  TRY_ASSIGN(recovered.found, RecoverWal(env, kWalDirectory, oldest,
                                         [&](uint64_t segment, std::string_view payload) {
                                           recovered.payloads.emplace_back(payload);
                                           recovered.segments.push_back(segment);
                                           return Result<void>();
                                         }));
  return recovered;
}

// A Wal on a simulated machine, with small segments. What the engine would do around it, on one
// thread: rotate when a segment is full, prepare when none is ready.
class WalDriver {
 public:
  explicit WalDriver(SimulatedEnv& machine, SyncMode mode = SyncMode::kNever,
                     uint64_t segment_bytes = 512)
      : machine_(machine), segment_bytes_(segment_bytes) {
    options_.directory = kWalDirectory;
    options_.logger = std::make_shared<spdlog::logger>("wal", lines_);
    options_.logger->set_level(spdlog::level::debug);
    options_.sync_mode = mode;
    options_.write_buffer_bytes = segment_bytes;
  }

  // Recovers and goes on behind it.
  Result<RecoveredWal> Open(uint64_t oldest = 1) {
    TRY_ASSIGN(RecoveredWal recovered, ReadWal(machine_.env(), oldest));
    const WalRecovery& found = recovered.found;
    TRY_ASSIGN(wal_, Wal::Open(machine_.env(), options_, segment_bytes_, found.next_number,
                               found.end, found.spare, SmallReserve(machine_.env(), options_)));
    return recovered;
  }

  // False: no segment could be had for it, or the WAL has failed.
  bool Append(const WalRecord& record) {
    if (!wal_->write_error()) return false;
    if (!wal_->Fits(record.size())) {
      if (!wal_->NextFits(record.size())) {
        bool is_done = false;
        wal_->PrepareNext(record.size(), false, [&] { is_done = true; });
        machine_.scheduler.RunUntil([&] { return is_done; });
        if (!wal_->NextFits(record.size())) return false;
      }
      wal_->Rotate();
    }
    wal_->Append(record);
    return true;
  }
  bool Append(std::string_view payload) { return Append(WalRecord{payload, {}}); }

  // Waits until all that was appended is durable.
  Result<void> Sync() {
    Result<void> result = Fail(Errc::kClosed, "never answered");
    wal_->WhenDurable(wal_->end(), [&](Result<void> r) { result = std::move(r); });
    machine_.scheduler.RunReady();
    return result;
  }

  // The process is gone; what it had posted too.
  void Kill() {
    machine_.scheduler.Drop();
    wal_.reset();
  }

  Wal& wal() { return *wal_; }
  std::vector<std::string> log_lines() { return lines_->last_formatted(); }
  std::vector<std::string> files() { return *machine_.disk().List(kWalDirectory); }

 private:
  SimulatedEnv& machine_;
  const uint64_t segment_bytes_;
  const std::shared_ptr<spdlog::sinks::ringbuffer_sink_mt> lines_ =
      std::make_shared<spdlog::sinks::ringbuffer_sink_mt>(100);
  Options options_;
  std::unique_ptr<Wal> wal_;
};

inline std::vector<std::string> WalPayloads(size_t count, size_t bytes = 24) {
  std::vector<std::string> payloads;
  for (size_t i = 0; i < count; ++i) payloads.push_back(WalPayload(i, bytes));
  return payloads;
}

}  // namespace varve::engine::testing
