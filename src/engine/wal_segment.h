#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "engine/env.h"
#include "engine/error.h"
#include "engine/wal_format.h"

namespace varve::engine {

// A WAL segment that is prepared or being written. Format: wal_format.h.
// Threads: number, salt, data_end_max and file are constant after construction; base is set when it
//          comes into use, before anybody else sees that; the rest belongs to the writer.
struct WalSegment {
  WalHeader header;
  uint64_t data_end_max = 0;  // offset up to which records may reach
  std::unique_ptr<WritableFile> file;
  Lsn base = 0;

  uint64_t written_end = 0;  // offset behind the last record in the file; 0: not even the start
  bool has_unsynced = false;

  uint64_t OffsetOf(Lsn lsn) const { return kWalDataOffset + (lsn - base); }
  // As sync points say it; negative before the segment.
  int64_t Relative(Lsn lsn) const { return static_cast<int64_t>(lsn - base); }
};

struct WalSegmentPlan {
  std::string directory;
  uint64_t number = 0;
  uint64_t file_bytes = 0;    // allocated; at least kWalOverheadBytes
  std::optional<Lsn> base;    // in use from the start
  std::string recycled_path;  // empty: a new file
  bool zero_fill = false;     // a new file is written once, so that its syncs need no journal
};

// Makes the segment's file: allocated, its header durable, then its name. Blocks for two syncs. On
// failure it removes what it made, and the recycled file.
Result<std::shared_ptr<WalSegment>> CreateWalSegment(const Env& env, const WalSegmentPlan& plan);

}  // namespace varve::engine
