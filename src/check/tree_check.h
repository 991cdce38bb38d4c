#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "check/check.h"
#include "engine/env.h"
#include "engine/manifest.h"
#include "engine/position.h"
#include "engine/value_file.h"

namespace varve::check {

// Reads all tables of one tree, and the record of each separated value that a row refers to. What
// is damaged is counted and reported, each file once. Threads: one. Lifetime: what it is given
// outlives it. Blocks: reads every byte that counts.
class TreeCheck {
 public:
  TreeCheck(engine::FileSystem& files, const std::string& directory,
            const engine::PositionSecret& secret, const Report& report, Findings& findings)
      : files_(files),
        directory_(directory),
        secret_(secret),
        report_(report),
        findings_(findings) {}

  void Check(engine::TreeId id, const engine::ManifestState::Tree& tree);

 private:
  void OpenValueFiles();
  engine::Result<void> CheckTable(const engine::TableInfo& info);
  void CheckReference(const engine::Row& row);
  engine::Result<void> CheckValue(const engine::Row& row);
  void CheckCounts();
  // Counts the file, unless it is known to be damaged.
  void Damaged(const std::string& path, const std::string& what);

  engine::FileSystem& files_;
  const std::string& directory_;
  const engine::PositionSecret& secret_;
  const Report& report_;
  Findings& findings_;

  engine::TreeId id_ = 0;
  const engine::ManifestState::Tree* tree_ = nullptr;
  std::map<uint64_t, std::shared_ptr<engine::ValueFile>> value_files_;  // that could be opened
  std::map<uint64_t, std::vector<bool>> seen_;                          // by run: referred to
  std::set<std::string> damaged_;
};

}  // namespace varve::check
