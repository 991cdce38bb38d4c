#pragma once

#include <cstdint>
#include <vector>

#include "engine/value_runs.h"

namespace varve::engine {

// When dead records are collected, and how much at once. Constant.
struct CollectionLimits {
  // Dead bytes per live ones from which on there is work: always, and when nothing else is to be
  // done. What is dead lies beside what is not known to be dead yet.
  double dead_share = 0.18;
  double dead_share_idle = 0.10;
  // Bytes of value files per byte of what surely lives.
  double space_max = 1.25;
  // A file with less dead bytes than this share is left alone.
  double file_dead_share_min = 0.05;
  uint64_t output_bytes = 64 << 20;  // of live records that one collection copies
};

// The numbers of the files whose live records should go to a new file now; empty: there is no need.
// Those first that free most for what they cost, the longer the longer nothing has changed in them
// (cost-benefit: Rosenblum and Ousterhout, The Design and Implementation of a Log-Structured File
// System, 1992). `hidden_bytes_max`: so much of what is live may be hidden by newer rows already.
std::vector<uint64_t> PickCollection(const ValueRuns& values, uint64_t hidden_bytes_max,
                                     const CollectionLimits& limits, bool idle);

}  // namespace varve::engine
