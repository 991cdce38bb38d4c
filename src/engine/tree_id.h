#pragma once

#include <cstdint>

namespace varve::engine {

// Names a tree. The tree of a database that was flushed is left behind whole, and a new one with a
// new id takes its place. Ids are never used twice.
using TreeId = uint64_t;

}  // namespace varve::engine
