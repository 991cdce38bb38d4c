#pragma once

#include <cstdint>
#include <vector>

#include "engine/value_runs.h"

namespace varve::engine {

// When dead records are collected, and how much at once. Constant.
struct CollectionLimits {
  // Bytes of value files, that of a collection under way included, per byte of what surely lives.
  double space_max = 1.25;
  // Dead bytes per live ones that are never worth the work; with more, it is done when nothing else
  // is to be done.
  double dead_share_min = 0.10;
  // A file with less dead bytes than this share is left alone.
  double file_dead_share_min = 0.05;
  // Of live records that one collection copies: a part of all, so that small trees need no more
  // room for it than large ones, up to this.
  uint64_t output_bytes_max = 64 << 20;
  uint64_t output_part = 32;
};

// The numbers of the files whose live records should go to a new file now; empty: there is no need.
// Those first that free most for what they cost, the longer the longer nothing has changed in them
// (cost-benefit: Rosenblum and Ousterhout, The Design and Implementation of a Log-Structured File
// System, 1992). `hidden_bytes_max`: so much of what is live may be hidden by newer rows already.
std::vector<uint64_t> PickCollection(const ValueRuns& values, uint64_t hidden_bytes_max,
                                     const CollectionLimits& limits, bool idle);

// How far writers are ahead: at 1.0 there is work, beyond that more and more of it.
double CollectionPressure(const ValueRuns::Totals& totals, uint64_t hidden_bytes_max,
                          const CollectionLimits& limits);

}  // namespace varve::engine
