#pragma once

#include <memory>

#include "engine/env.h"

namespace varve::engine {

// Reads through io_uring: one thread hands all reads to the kernel and takes in what comes back, so
// that the disk sees as many at once as there are, and no thread is woken for each. Files without a
// descriptor() are read by ReadAt().
// Null where io_uring is missing or forbidden (an old kernel, a container's filter).
std::unique_ptr<BlockReader> NewUringBlockReader();

}  // namespace varve::engine
