#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>

#include "engine/error.h"

namespace varve::engine {

// The index of a file: read when it is first needed, dropped again when memory is short and nobody
// has used it for a while, and read again.
// Threads: all members from any thread; peek() for who sees to it that nothing is dropped
// meanwhile.
template <typename Index>
class LoadedOnUse {
 public:
  // Null when it is not in memory. Does not block.
  std::shared_ptr<const Index> get() const {
    const std::lock_guard lock(mutex_);
    return owner_;
  }
  const Index* peek() const { return index_.load(std::memory_order_acquire); }
  uint64_t memory_bytes() const {  // 0 when it is not in memory; as peek()
    const Index* index = peek();
    return index == nullptr ? 0 : index->memory_bytes();
  }

  // `load` returns a Result<unique_ptr<const Index>>. Blocks; at once when the index is in memory.
  // If it was this call that brought it in, `*loaded_bytes` grows by its memory.
  template <typename LoadFunction>
  Result<std::shared_ptr<const Index>> Load(LoadFunction load, uint64_t* loaded_bytes) const {
    const std::lock_guard load_lock(load_mutex_);
    if (std::shared_ptr<const Index> loaded = get()) return loaded;
    TRY_ASSIGN(std::shared_ptr<const Index> loaded, load());
    if (loaded_bytes != nullptr) *loaded_bytes += loaded->memory_bytes();
    const std::lock_guard lock(mutex_);
    owner_ = loaded;
    used_.store(true, std::memory_order_relaxed);
    index_.store(owner_.get(), std::memory_order_release);
    return loaded;
  }

  void MarkUsed() const {  // a line that is marked already stays clean
    if (!used_.load(std::memory_order_relaxed)) used_.store(true, std::memory_order_relaxed);
  }
  // Nothing if it was used since the last call.
  std::shared_ptr<const Index> DropUnused() const {
    if (used_.exchange(false, std::memory_order_relaxed)) return nullptr;
    const std::lock_guard lock(mutex_);
    index_.store(nullptr, std::memory_order_release);
    return std::move(owner_);
  }

 private:
  mutable std::mutex load_mutex_;                     // one Load() at a time
  mutable std::mutex mutex_;                          // after load_mutex_
  mutable std::shared_ptr<const Index> owner_;        // guarded by mutex_
  mutable std::atomic<const Index*> index_{nullptr};  // the same
  mutable std::atomic<bool> used_{false};
};

}  // namespace varve::engine
