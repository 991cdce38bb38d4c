#pragma once

#include <cstdint>

namespace varve::commands {

// What became of one run of a command.
enum class Run : uint8_t {
  kDone,   // its reply is in the buffer (or it has none); its changes, if any, are committed
  kWait,   // it needs rows: Prefetch() for what follows, guard.Wait(), release the lock, run again
  kYield,  // release the lock, do what client.continuation asks for, run again
};

}  // namespace varve::commands
