#pragma once

#include <cstdio>
#include <cstdlib>

// Ends the process when the engine's own logic is broken; on in release builds too. Never used on
// bytes that come from a disk or a peer: those are errors (error.h).
#define INVARIANT(condition)                                                                 \
  do {                                                                                       \
    if (!(condition)) [[unlikely]] {                                                         \
      std::fprintf(stderr, "INVARIANT failed: %s, %s:%d\n", #condition, __FILE__, __LINE__); \
      std::abort();                                                                          \
    }                                                                                        \
  } while (false)
