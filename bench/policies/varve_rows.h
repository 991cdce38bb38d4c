#pragma once

#include <cstdint>
#include <memory>

#include "engine/row_memory.h"
#include "parts/rows.h"
#include "policies/policy.h"

namespace varve::bench {

// Varve's own rows in memory, used as its store uses them: a miss is loaded, and read then.
class VarveRows final : public CachePolicy {
 public:
  explicit VarveRows(uint64_t bytes_max) : memory_(bytes_max) {}
  bool Access(uint32_t key) override;
  uint64_t row_count() const { return memory_.clean_rows(); }

 private:
  const engine::PositionSecret secret_ = TestSecret();
  Key key_;
  Values values_;
  engine::RowMemory memory_;
  std::shared_ptr<engine::TreeRows> rows_ = std::make_shared<engine::TreeRows>();
};

}  // namespace varve::bench
