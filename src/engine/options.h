#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace spdlog {
class logger;
}

namespace varve::engine {

inline constexpr int kDatabaseCount = 16;

// When an acknowledged write is durable against power loss; a killed process loses none in any.
enum class SyncMode { kAlways, kEverySecond, kNever };

// What blocks of the lowest level are compressed with; those above it always with snappy.
enum class LastLevelCompression { kSnappy, kZstd };

struct Options {
  std::string directory;                        // created when missing
  std::shared_ptr<spdlog::logger> logger;       // required
  SyncMode sync_mode = SyncMode::kEverySecond;  // appendfsync
  uint64_t write_buffer_bytes = 64ull << 20;    // a memtable is sealed at this size
  int sealed_memtables_max = 4;                 // more wait to be flushed: writers wait
  uint64_t memory_bytes_max = 1ull << 30;       // memtables, cached rows, filters and indexes
  size_t block_bytes = 4096;                    // rows of a block before compression
  int filter_bits_per_key = 10;
  LastLevelCompression last_level_compression = LastLevelCompression::kZstd;
  size_t background_threads = 1;     // merges at once; the Env has as many threads for them
  uint64_t background_io_limit = 0;  // bytes a second that merges read and write; 0 is no limit
  // Rows whose values have at least so many bytes keep them in value files, beside the tables; 0:
  // none do.
  size_t value_threshold_bytes = 4096;
  size_t settling_loads_max = 1024;  // blind writes whose count is still open
};

}  // namespace varve::engine
